#!/bin/sh
# Makes a development authority and certificates for the gateway, an upstream and a client, in FOLDER. For trials only.
# usage: dev-ca.sh FOLDER [NAME…]      each NAME beside localhost, 127.0.0.1 and ::1
set -eu

folder=${1:?usage: dev-ca.sh FOLDER [NAME…]}
shift
names="DNS:localhost,IP:127.0.0.1,IP:::1"
for name in "$@"; do names="$names,DNS:$name"; done

umask 077
mkdir -p "$folder"
cd "$folder"

new_key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

if ! [ -e ca.key ] || ! [ -e ca.pem ]; then
    new_key ca.key
    openssl req -x509 -new -key ca.key -sha256 -days 30 -subj "/CN=Lychgate development authority" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
fi

# certificate FILE PURPOSE
certificate() {
    new_key "$1.key"
    extensions=$(mktemp)
    printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$2" "$names" >"$extensions"
    openssl req -new -key "$1.key" -subj "/CN=$1.lychgate.test" |
        openssl x509 -req -sha256 -days 30 -CA ca.pem -CAkey ca.key -CAcreateserial -extfile "$extensions" -out "$1.pem" 2>/dev/null
    rm -f "$extensions"
    cat ca.pem >>"$1.pem"
}

certificate gateway serverAuth,clientAuth
certificate upstream serverAuth
names="$names,DNS:mail.provider.test"
certificate client clientAuth
chmod 644 ./*.pem
echo "made in $(pwd): ca.pem, and gateway, upstream and client as .pem and .key; they last 30 days"
