import { configure } from "@testing-library/react";

// A loaded machine takes more than the usual second until a page shows its answer.
configure({ asyncUtilTimeout: 15_000 });
