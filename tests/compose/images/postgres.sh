#!/bin/sh
# What the official image's entrypoint does with POSTGRES_*: https://hub.docker.com/_/postgres
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    echo "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    # Over its socket alone: nobody else sees the server before its database is there.
    pg_ctl start --wait --options="-c listen_addresses=''" >/dev/null
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB" 2>/dev/null || true
    pg_ctl stop --wait --mode=fast >/dev/null
fi
exec "$@" -c listen_addresses='*'
