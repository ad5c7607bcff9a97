#!/usr/bin/env bash
# A private Exim on loopback: a second real provider, with other words in its replies. Needs root; started and stopped by recorded pid.
#
#   exim.sh start DIR     stop DIR      by environment: EXIM (the folder it was unpacked to), the rest as for postfix.sh
set -euo pipefail
cmd=${1:?start or stop}
D=${2:?DIR}
running() { [ -s "$D/exim.pid" ] && kill -0 "$(cat "$D/exim.pid")" 2>/dev/null; }

stop() {
  running || return 0
  p=$(cat "$D/exim.pid")
  kill "$p" || true
  for _ in $(seq 50); do kill -0 "$p" 2>/dev/null || break; sleep 0.1; done
}

start() {
  binary=$EXIM/usr/sbin/exim4
  mkdir -p "$D/spool" "$D/log" "$D/mail/all/new" "$D/mail/all/cur" "$D/mail/all/tmp"
  cp "$TLS/server.pem" "$TLS/server.key" "$D/"
  cat >"$D/exim.conf" <<CONF
exim_path = $binary
keep_environment =
primary_hostname = exim.provider.test
exim_user = $MAIL_UID
exim_group = $MAIL_GID
never_users =
spool_directory = $D/spool
log_file_path = $D/log/%slog
pid_file_path = $D/exim.pid
daemon_smtp_ports = $SUB : $SMTPS
tls_on_connect_ports = $SMTPS
local_interfaces = 127.0.0.1
tls_certificate = $D/server.pem
tls_privatekey = $D/server.key
tls_advertise_hosts = *
auth_advertise_hosts = \${if eq{\$tls_in_cipher}{}{}{*}}
acl_smtp_rcpt = rcpt
acl_smtp_data = content
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
prdr_enable = true
host_lookup =
rfc1413_query_timeout = 0s
begin acl
rcpt:
  deny local_parts = gone
       message = there is nobody\\nof that name here
  accept authenticated = *
  deny message = relay not permitted
content:
  accept
begin routers
all:
  driver = accept
  domains = *
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = $D/mail/all
  maildir_format
  user = $MAIL_UID
  group = $MAIL_GID
  envelope_to_add
  return_path_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if and{{eq{\$auth2}{$USER_NAME}}{eq{\$auth3}{$USER_PASSWORD}}}}
  server_set_id = \$auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = \${if and{{eq{\$auth1}{$USER_NAME}}{eq{\$auth2}{$USER_PASSWORD}}}}
  server_set_id = \$auth1
CONF
  chown -R "$MAIL_UID:$MAIL_GID" "$D/spool" "$D/log" "$D/mail" "$D/server.key"
  chmod 644 "$D/exim.conf"
  setsid "$binary" -C "$D/exim.conf" -bdf >"$D/exim.out" 2>&1 </dev/null &
  for port in $SUB $SMTPS; do
    for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2; sleep 0.1; done
    echo "port $port does not answer" >&2; cat "$D/exim.out" >&2; stop; exit 1
  done
  # A test run that is itself killed leaves nothing behind: this watches from a session of its own.
  setsid bash "$0" watch "$D" >/dev/null 2>&1 </dev/null &
}

case $cmd in
  start) start ;;
  watch)
    while kill -0 "$OWNER" 2>/dev/null && running; do sleep 1; done
    stop
    ;;
  stop) stop; rm -rf "$D/spool" "$D/log" "$D/mail" "$D/server.key" ;;
  *) echo "start or stop" >&2; exit 2 ;;
esac
