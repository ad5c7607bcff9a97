#!/usr/bin/env bash
# A private Postfix with Dovecot's SASL on loopback: a real provider for the tests. Needs root; started and stopped by recorded pid.
#
#   postfix.sh start DIR     stop DIR
#
# By environment, at start: TLS (folder with server.pem, server.key), OWNER (pid; when it is gone, everything stops),
# MAIL_UID MAIL_GID (who owns the Maildir), USER_NAME USER_PASSWORD, DOMAIN (the council's), and the ports
#   SUB    submission, STARTTLS, AUTH under TLS only        SMTPS  the same under implicit TLS
#   BARE   submission whose EHLO hides every extension      MX     mail for DOMAIN only, no AUTH, STARTTLS
#   RELAY  takes everything from loopback (a provider's smart host), STARTTLS
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
cmd=${1:?start or stop}
D=${2:?DIR}
pf=$D/postfix dv=$D/dovecot
running() { [ -s "$1" ] && kill -0 "$(tr -d ' ' <"$1")" 2>/dev/null; }

stop() {
  for pid in "$pf/queue/pid/master.pid" "$dv/run/master.pid"; do
    running "$pid" || continue
    p=$(tr -d ' ' <"$pid")
    kill "$p" || true
    for _ in $(seq 50); do kill -0 "$p" 2>/dev/null || break; sleep 0.1; done
  done
}

start() {
  mkdir -p "$pf/etc" "$pf/queue/pid" "$pf/data" "$dv/run" "$dv/state" "$D/mail/all/new" "$D/mail/all/cur" "$D/mail/all/tmp"
  chown postfix "$pf/data"
  chown -R "$MAIL_UID:$MAIL_GID" "$D/mail"
  chmod 755 "$pf" "$pf/etc" "$pf/queue" "$dv"
  printf '%s:{PLAIN}%s::::::\n' "$USER_NAME" "$USER_PASSWORD" >"$dv/users"
  chgrp dovecot "$dv/users" && chmod 640 "$dv/users"
  cat >"$dv/dovecot.conf" <<CONF
base_dir = $dv/run
state_dir = $dv/state
instance_name = lychgate-$SUB
log_path = $D/dovecot.log
protocols =
listen = 127.0.0.1
auth_mechanisms = plain login
auth_username_format = %u
auth_failure_delay = 0
ssl = no
disable_plaintext_auth = no
passdb {
  driver = passwd-file
  args = username_format=%u $dv/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$D/mail
}
service auth {
  unix_listener $dv/sasl {
    mode = 0666
  }
}
CONF
  printf '%s\n' "gone@outside.test 550 5.1.1 <gone@outside.test>: mailbox unavailable" \
    "busy@outside.test 450 4.2.1 <busy@outside.test>: mailbox busy, try again" >"$pf/etc/rcpt"
  printf '%s\n' "/^X-Refuse: content/ REJECT not this content" >"$pf/etc/header_checks"
  cat >"$pf/etc/main.cf" <<CONF
header_checks = regexp:$pf/etc/header_checks
compatibility_level = 3.6
config_directory = $pf/etc
queue_directory = $pf/queue
data_directory = $pf/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
syslog_name = lychgate-postfix
maillog_file = $D/mail.log
maillog_file_prefixes = $D
multi_instance_name = postfix-lychgate-$SUB
multi_instance_enable = yes
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.provider.test
myorigin = mail.provider.test
mydestination =
mynetworks =
relayhost =
disable_dns_lookups = yes
smtpd_peername_lookup = no
local_recipient_maps =
alias_maps =
alias_database =
append_dot_mydomain = no
local_header_rewrite_clients =
message_size_limit = 30000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
# An exact witness: every header field stays as it came, a Bcc that leaked too.
message_drop_headers =
disable_mime_input_processing = yes
header_size_limit = 1048576
# Whatever the domain: one copy a recipient. Its domains must be said, or every domain would be ours.
default_transport = virtual
local_transport = virtual
virtual_mailbox_base = $D/mail
virtual_mailbox_maps = static:all/
virtual_mailbox_domains =
virtual_alias_domains =
virtual_minimum_uid = 1
virtual_uid_maps = static:$MAIL_UID
virtual_gid_maps = static:$MAIL_GID
relay_domains = $DOMAIN
relay_transport = virtual
relay_recipient_maps =
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:$pf/etc/rcpt
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dv/sasl
smtpd_sasl_security_options = noanonymous
smtpd_sasl_authenticated_header = yes
smtpd_tls_cert_file = $TLS/server.pem
smtpd_tls_key_file = $TLS/server.key
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_tls_auth_only = yes
CONF
  cat >"$pf/etc/master.cf" <<CONF
127.0.0.1:$SUB inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
127.0.0.1:$BARE inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_discard_ehlo_keywords=pipelining,chunking,dsn,smtputf8,8bitmime,size,vrfy,etrn,enhancedstatuscodes
127.0.0.1:$SMTPS inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
127.0.0.1:$MX inet n - n - - smtpd
127.0.0.1:$RELAY inet n - n - - smtpd
  -o mynetworks=127.0.0.0/8
  -o smtpd_relay_restrictions=permit_mynetworks,reject
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
CONF
  dovecot -c "$dv/dovecot.conf"
  postfix -c "$pf/etc" start >"$D/postfix.log" 2>&1 || { cat "$D/postfix.log" "$D/mail.log" >&2; stop; exit 1; }
  for port in $SUB $SMTPS $MX $RELAY $BARE; do
    for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && [ -S "$dv/sasl" ] && continue 2; sleep 0.1; done
    echo "port $port does not answer" >&2; tail -20 "$D/mail.log" >&2; stop; exit 1
  done
  # A test run that is itself killed leaves nothing behind: this watches from a session of its own.
  setsid bash "$0" watch "$D" >/dev/null 2>&1 </dev/null &
}

case $cmd in
  start) start ;;
  watch)
    while kill -0 "$OWNER" 2>/dev/null && running "$pf/queue/pid/master.pid"; do sleep 1; done
    stop
    ;;
  stop) stop; rm -rf "$D/postfix" "$D/dovecot" "$D/mail" ;;
  *) echo "start or stop" >&2; exit 2 ;;
esac
