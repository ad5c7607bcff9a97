"""Sends one message by Python's smtplib: HOST PORT TLS(none|starttls|implicit) CA AUTH(none|PLAIN|LOGIN) USER PASSWORD FROM TO FILE"""

import smtplib
import ssl
import sys

host, port, tls, ca, auth, user, password, sender, recipient, path = sys.argv[1:11]
context = ssl.create_default_context(cafile=ca)
if tls == "implicit":
    smtp = smtplib.SMTP_SSL(host, int(port), local_hostname="client.example", context=context, timeout=20)
else:
    smtp = smtplib.SMTP(host, int(port), local_hostname="client.example", timeout=20)
with smtp:
    if tls == "starttls":
        smtp.starttls(context=context)
    smtp.ehlo_or_helo_if_needed()
    if auth != "none":
        smtp.user, smtp.password = user, password
        code, reply = smtp.auth(auth, getattr(smtp, "auth_" + auth.lower()))
        assert code == 235, (code, reply)
    options = ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else []
    refused = smtp.sendmail(sender, [recipient], open(path, "rb").read(), mail_options=options)
    assert not refused, refused
