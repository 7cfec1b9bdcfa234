# Sourced: finds a PostgreSQL server's programs and runs them as somebody who is not root.

has_server() { [ -x "$1/postgres" ] && [ -x "$1/initdb" ] && [ -x "$1/pg_ctl" ]; }

# Prints the directory of initdb and postgres: $PAWL_PG_BINDIR, else of major version $1 where
# given, else what pg_config says, else the highest there is, as control/server_binaries.h has it.
find_bin_directory() {
  local major=${1:-} candidate
  if [ -n "${PAWL_PG_BINDIR:-}" ]; then
    has_server "$PAWL_PG_BINDIR" ||
      fail "PAWL_PG_BINDIR is $PAWL_PG_BINDIR, but there is no server there."
    echo "$PAWL_PG_BINDIR"
    return
  fi
  local candidates=()
  if [ -n "$major" ]; then
    candidates+=("/usr/lib/postgresql/$major/bin" "/usr/pgsql-$major/bin")
  else
    candidates+=("$(pg_config --bindir 2>/dev/null || true)")
    while IFS= read -r candidate; do candidates+=("$candidate"); done < <(
      printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin | sort -rV)
  fi
  for candidate in "${candidates[@]}"; do
    if has_server "$candidate"; then echo "$candidate"; return; fi
  done
  fail "Found no PostgreSQL server${major:+ $major} on this machine. Run scripts/install-packages," \
    "or set PAWL_PG_BINDIR to the directory that holds initdb and postgres."
}

# Prints the account that servers run under.
server_account() {
  local name
  if [ "$(id -u)" != 0 ]; then id -un; return; fi
  for name in postgres nobody; do
    if id "$name" >/dev/null 2>&1; then echo "$name"; return; fi
  done
  fail "PostgreSQL refuses to run as root, and there is no user postgres and no user nobody."
}

# Runs a command as that account, in a directory it can enter, without our PG* variables.
as_server_account() {
  local account
  local clean=(env -u PGDATA -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGSERVICE LC_ALL=C)
  account=$(server_account)
  if [ "$(id -u)" != 0 ]; then
    (cd / && "${clean[@]}" "$@")
  else
    (cd / && setpriv --reuid "$account" --regid "$(id -g "$account")" --clear-groups \
      "${clean[@]}" HOME=/ "$@")
  fi
}

# Prints a port of 127.0.0.1 that nobody answers on.
free_port() {
  local port
  while true; do
    port=$((15000 + RANDOM % 17000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
}
