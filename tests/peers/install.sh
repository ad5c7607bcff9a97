#!/usr/bin/env bash
# Brings the real peers that the tests speak with: Debian packages, one npm package, Exim unpacked beside Postfix (the two
# packages conflict), and ClamAV's daemon. Starts no service. Quick and silent where everything is there already.
#
#   tests/peers/install.sh CACHE      CACHE: a folder under target/ for what is not a Debian package of this machine
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive
cache=${1:?the cache folder}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
packages="postfix dovecot-core swaks libnet-ssleay-perl msmtp curl openssl ca-certificates python3 libgnutls-dane0 libidn12 libdb5.3 libpcre2-8-0 libclamav12 python3-dkim postgresql chromium chromium-driver poppler-utils xmlsec1 php-cli php-xml php-mbstring"
# What the feature saml is built with.
packages="$packages libxmlsec1-dev libxml2-dev libssl-dev pkg-config libclang1-14 libclang-common-14-dev"
command -v node >/dev/null || packages="$packages nodejs"
command -v npm >/dev/null || packages="$packages npm"

command -v apt-get >/dev/null || { echo "install.sh: the peers come from Debian's packages, and this is no Debian" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then root=; else root="sudo -n"; fi

updated=
# Installs, with the package lists fetched only where the first attempt shows that they are missing or old.
debian() {
  "$@" && return 0
  [ -z "$updated" ] || return 1
  $root apt-get update -q && updated=yes && "$@"
}

missing=
for package in $packages; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "install.sh: installing$missing"
  # A package's service must not start: nothing here may listen but what a test starts. A policy that is there already stays.
  guard=
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    guard=yes
    printf '#!/bin/sh\nexit 101\n' | $root tee /usr/sbin/policy-rc.d >/dev/null
    $root chmod 755 /usr/sbin/policy-rc.d
    trap '$root rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  echo "postfix postfix/main_mailer_type select No configuration" | $root debconf-set-selections
  # --no-remove: a mail server that this machine already runs is never taken away.
  # shellcheck disable=SC2086
  debian $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove $missing >"$cache/apt.log" 2>&1 ||
    { tail -20 "$cache/apt.log" >&2; exit 1; }
  if [ -n "$guard" ]; then $root rm -f /usr/sbin/policy-rc.d; trap - EXIT; fi
fi

if [ ! -x "$cache/exim/usr/sbin/exim4" ]; then
  echo "install.sh: unpacking Exim"
  rm -rf "$cache/exim.new" && mkdir -p "$cache/exim.new/deb"
  (cd "$cache/exim.new/deb" && debian apt-get download -q exim4-daemon-light >"$cache/exim.log" 2>&1) || { tail -20 "$cache/exim.log" >&2; exit 1; }
  dpkg -x "$cache"/exim.new/deb/*.deb "$cache/exim.new"
  rm -rf "$cache/exim" "$cache/exim.new/deb" && mv "$cache/exim.new" "$cache/exim"
fi

# The daemon alone: its package would bring one that fetches signatures, and start both. The tests have a signature of their own.
clamav() {
  rm -rf "$cache/clamav.new" && mkdir -p "$cache/clamav.new/deb"
  (cd "$cache/clamav.new/deb" && debian apt-get download -q clamav-daemon >"$cache/clamav.log" 2>&1) || { tail -20 "$cache/clamav.log" >&2; exit 1; }
  dpkg -x "$cache"/clamav.new/deb/*.deb "$cache/clamav.new"
  rm -rf "$cache/clamav" "$cache/clamav.new/deb" && mv "$cache/clamav.new" "$cache/clamav"
}
# A daemon of another version than its library's says so and does nothing else.
unfit() { [[ $("$cache/clamav/usr/sbin/clamd" --version 2>&1) == *"functionality level"* ]]; }
if [ ! -x "$cache/clamav/usr/sbin/clamd" ] || unfit; then
  echo "install.sh: unpacking ClamAV's daemon"
  clamav
  if unfit; then
    # The library came with older package lists than the daemon: now both are of the same.
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove --only-upgrade libclamav12 >"$cache/clamav.log" 2>&1 ||
      { tail -20 "$cache/clamav.log" >&2; exit 1; }
    clamav
  fi
  ! unfit || { "$cache/clamav/usr/sbin/clamd" --version >&2; exit 1; }
fi

# The identity provider alone: its package would bring a web server, and start it.
if [ ! -d "$cache/simplesamlphp/usr/share/simplesamlphp/www" ]; then
  echo "install.sh: unpacking SimpleSAMLphp"
  rm -rf "$cache/simplesamlphp.new" && mkdir -p "$cache/simplesamlphp.new/deb"
  (cd "$cache/simplesamlphp.new/deb" && debian apt-get download -q simplesamlphp >"$cache/simplesamlphp.log" 2>&1) || { tail -20 "$cache/simplesamlphp.log" >&2; exit 1; }
  dpkg -x "$cache"/simplesamlphp.new/deb/*.deb "$cache/simplesamlphp.new"
  rm -rf "$cache/simplesamlphp" "$cache/simplesamlphp.new/deb" && mv "$cache/simplesamlphp.new" "$cache/simplesamlphp"
fi

# Exim looks its own account up by a name that Debian compiled in; its package would make this one too.
id Debian-exim >/dev/null 2>&1 || $root useradd --system --user-group --no-create-home --home-dir /var/spool/exim4 --shell /usr/sbin/nologin Debian-exim

if [ ! -d "$cache/node_modules/nodemailer" ] || [ ! -d "$cache/node_modules/axe-core" ]; then
  echo "install.sh: fetching nodemailer and axe-core"
  cp "$(dirname "$0")/package.json" "$cache/package.json"
  (cd "$cache" && npm install --no-audit --no-fund --silent >"$cache/npm.log" 2>&1) || { tail -20 "$cache/npm.log" >&2; exit 1; }
fi
