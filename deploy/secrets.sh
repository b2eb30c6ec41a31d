#!/usr/bin/env bash
# Creates the secrets for compose.yaml, so that you need not choose any and none is in the repository.
#
#   secrets.sh passwords   random passwords for InfluxDB and Grafana, before these start
#   secrets.sh tokens      tokens for one bucket, from the running InfluxDB: the worker may write and read it, Grafana may
#                          only read it. So nobody who breaks into Grafana can change the database.
#
# Secrets that exist and still work are kept. $SECRETS has one directory (a volume) for each reader. A file belongs to root,
# and the reader's group may read it.
set -euo pipefail
umask 077

secrets=${SECRETS:-/secrets}
influxdb_url=${INFLUXDB_URL:-http://influxdb:8086}
name=${INFLUXDB_BUCKET:-bandprobe} # also the name of the organisation
influxdb_group=${INFLUXDB_GROUP:-1000}
grafana_group=${GRAFANA_GROUP:-0}
worker_group=${WORKER_GROUP:-65532}

# Writes stdin to a file atomically.
keep() { # FILE GROUP
  rm -f "$1.new"
  cat > "$1.new"
  [ -s "$1.new" ]
  chgrp "$2" "$1.new"
  chmod 0440 "$1.new"
  mv "$1.new" "$1"
}

# 24 random bytes as text, unless the file exists.
password() { # FILE GROUP
  [ -s "$1" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' | keep "$1" "$2"
}

passwords() {
  password "$secrets/influxdb/admin-password" "$influxdb_group"
  password "$secrets/influxdb/admin-token" "$influxdb_group"
  password "$secrets/grafana/admin-password" "$grafana_group"
  password "$secrets/grafana/secret-key" "$grafana_group"
}

# Sends a request to InfluxDB with the token from a file. The token is never an argument, because every user of the machine
# can read those.
ask() { # TOKEN-FILE PATH [CURL-OPTION…]
  local token=$1 path=$2
  shift 2
  printf 'header = "Authorization: Token %s"\n' "$(cat "$token")" |
    curl --config - --silent --show-error --fail --max-time 30 "$@" "$influxdb_url$path"
}

# The first value of a key in the JSON on stdin.
first() { # KEY
  local json pattern="\"$1\": *\"([^\"]*)\""
  json=$(cat)
  [ -n "$json" ] || return 1 # curl has printed the reason
  [[ $json =~ $pattern ]] || { echo "secrets.sh: the answer of InfluxDB has no '$1': $json" >&2; return 1; }
  printf '%s' "${BASH_REMATCH[1]}"
}

# Creates a token for the bucket, unless the existing one still works: the database or the bucket may be new. The check uses
# the bucket's id, because a search by name succeeds with every token (with an empty list).
token() { # FILE GROUP ACTION…
  local file=$1 group=$2 action permissions=""
  shift 2
  if [ -s "$file" ] && ask "$file" "/api/v2/buckets/$bucket" --output /dev/null 2>/dev/null; then return; fi
  for action in "$@"; do
    permissions+="{\"action\":\"$action\",\"resource\":{\"type\":\"buckets\",\"id\":\"$bucket\",\"orgID\":\"$org\"}},"
  done
  ask "$admin" /api/v2/authorizations --header 'Content-Type: application/json' --data-binary \
    "{\"orgID\":\"$org\",\"description\":\"bandprobe: $*\",\"permissions\":[${permissions%,}]}" |
    first token | keep "$file" "$group"
}

tokens() {
  local admin=$secrets/influxdb/admin-token org bucket
  org=$(ask "$admin" "/api/v2/orgs?org=$name" | first id)
  bucket=$(ask "$admin" "/api/v2/buckets?org=$name&name=$name" | first id)
  token "$secrets/worker/influxdb-token" "$worker_group" read write
  token "$secrets/grafana/influxdb-token" "$grafana_group" read
}

case ${1:-} in
  passwords | tokens) "$1" ;;
  *) echo "usage: secrets.sh passwords|tokens" >&2; exit 2 ;;
esac
