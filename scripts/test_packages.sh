#!/bin/sh
# The tests also run on Debian's own PostgreSQL server. As root on Debian this installs its binaries when none is there;
# it makes no cluster and starts none. Anyone else is told in one line, and the tests run on the embedded server alone.
set -eu

for initdb in /usr/lib/postgresql/*/bin/initdb; do
    [ -x "$initdb" ] || continue
    major=${initdb#/usr/lib/postgresql/}
    case ${major%%/*} in
        15 | 16 | 17 | 18) exit 0 ;;
    esac
done

skip() {
    echo "system PostgreSQL: $1; the tests run on the embedded server alone"
    exit 0
}

command -v apt-get >/dev/null 2>&1 || skip "no apt-get here"
[ "$(id -u)" = 0 ] || skip "not installed, and only root can (apt-get install postgresql-15)"

conf=/etc/postgresql-common/createcluster.d/kejin-tests.conf
policy=/usr/sbin/policy-rc.d
made_policy=
tidy() {
    rm -f "$conf"
    if [ -n "$made_policy" ]; then rm -f "$policy"; fi
}
trap tidy EXIT
trap 'exit 130' HUP INT TERM

get() {
    DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null
}
log=$(mktemp)

echo "system PostgreSQL: apt-get update"
get update || { tail -n 3 "$log" >&2; rm -f "$log"; skip "apt-get update failed"; }

# Debian 12 has 15; later ones have a later one.
server=
for major in 15 17 16 18; do
    if [ -n "$(apt-cache -q madison "postgresql-$major" 2>/dev/null)" ]; then
        server=postgresql-$major
        break
    fi
done
[ -n "$server" ] || { rm -f "$log"; skip "this system offers no PostgreSQL 15 to 18"; }

# No service may start while packages are unpacked, and no cluster `main` is made.
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
mkdir -p "${conf%/*}"
echo "create_main_cluster = false" >"$conf"

echo "system PostgreSQL: apt-get install $server"
get install --no-install-recommends "$server" || { tail -n 5 "$log" >&2; rm -f "$log"; skip "apt-get install $server failed"; }
rm -f "$log"
