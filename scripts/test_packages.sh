#!/bin/sh
# The tests also run on Debian's own PostgreSQL server and in a real browser. As root on Debian this installs what is not
# there: the server's binaries (no cluster is made, none is started), Chromium and a font for Chinese. Anyone else is told
# in one line for each, and those tests are left out.
set -eu

has_postgresql() {
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] || continue
        major=${initdb#/usr/lib/postgresql/}
        case ${major%%/*} in
            15 | 16 | 17 | 18) return 0 ;;
        esac
    done
    return 1
}
has_browser() { command -v chromium >/dev/null 2>&1; }

without() {
    has_postgresql || echo "system PostgreSQL: $1; the tests run on the embedded server alone"
    has_browser || echo "chromium: $1; the pages are not tried in a browser"
    exit 0
}

if has_postgresql && has_browser; then exit 0; fi
command -v apt-get >/dev/null 2>&1 || without "no apt-get here"
[ "$(id -u)" = 0 ] || without "not installed, and only root can (apt-get install postgresql-15 chromium)"

conf=/etc/postgresql-common/createcluster.d/kejin-tests.conf
policy=/usr/sbin/policy-rc.d
made_policy=
log=$(mktemp)
tidy() {
    rm -f "$conf" "$log"
    if [ -n "$made_policy" ]; then rm -f "$policy"; fi
}
trap tidy EXIT
trap 'exit 130' HUP INT TERM

get() {
    DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null
}
offers() { [ -n "$(apt-cache -q madison "$1" 2>/dev/null)" ]; }

echo "packages for the tests: apt-get update"
get update || { tail -n 3 "$log" >&2; without "apt-get update failed"; }

# No service may start while packages are unpacked, and no cluster `main` is made.
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
mkdir -p "${conf%/*}"
echo "create_main_cluster = false" >"$conf"

install() {
    echo "packages for the tests: apt-get install $*"
    get install --no-install-recommends "$@" || tail -n 5 "$log" >&2
}

if ! has_postgresql; then
    for major in 15 17 16 18; do # Debian 12 has 15; later ones have a later one
        if offers "postgresql-$major"; then
            install "postgresql-$major"
            break
        fi
    done
fi
if ! has_browser && offers chromium; then
    install chromium
    if offers fonts-noto-cjk; then install fonts-noto-cjk; fi
fi
if has_postgresql && has_browser; then exit 0; fi
without "this system's packages do not bring it"
