"use strict";
{
  const to = new URL(location.href);
  to.searchParams.set("at", to.hash.slice(1));
  to.hash = "";
  location.replace(to);
}
