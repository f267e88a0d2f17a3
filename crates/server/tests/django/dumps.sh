#!/bin/sh
# Makes the dumps in this folder anew: `dumps.sh PYTHON POSTGRES-URL`, with a Python that has requirements.txt, and the URL of
# an empty PostgreSQL database. Needs sqlite3 and pg_dump. The databases are filled by django-allauth (see fill.py).
set -eu
python=$1 url=$2
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for model in auth own; do
    case $model in own) option=--own-model table=people_person ;; *) option= table=auth_user ;; esac
    "$python" fill.py $option "sqlite://$scratch/$model.sqlite3" "$model.sqlite.json"
    # Django's own sessions, permissions and migrations have nothing to say here.
    sqlite3 "$scratch/$model.sqlite3" ".dump $table account_emailaddress socialaccount_% mfa_authenticator" >"$model.sqlite.sql"
done
"$python" fill.py "$url" auth.postgres.json
pg_dump --inserts --no-owner --no-privileges --no-comments -t auth_user -t account_emailaddress -t 'socialaccount_*' \
    -t mfa_authenticator "$url" | grep -v -e '^--' -e '^SET ' -e '^SELECT pg_catalog' -e '^\\' -e '^$' >auth.postgres.sql
