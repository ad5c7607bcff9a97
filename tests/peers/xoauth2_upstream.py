"""A small provider with XOAUTH2 and OAUTHBEARER under STARTTLS: PORT CERTIFICATE KEY MAILBOX USER TOKEN. Ends when its standard input does.

A wrong token gets the 334 with the reason first, and the 535 only after the client's answer (RFC 7628 section 3.2.3)."""

import base64
import os
import socketserver
import ssl
import sys
import threading

port, certificate, key, mailbox, user, token = sys.argv[1:7]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
count = 0
lock = threading.Lock()


class Session(socketserver.BaseRequestHandler):
    def say(self, text):
        self.request.sendall(text.encode() + b"\r\n")

    def line(self):
        line = self.file.readline(70000)
        return line.rstrip(b"\r\n").decode() if line else None

    def granted(self, response):
        fields = base64.b64decode(response).decode().split("\x01")
        named = fields[0] in (f"user={user}", f"n,a={user},")
        return named and f"auth=Bearer {token}" in fields

    def authenticate(self, words):
        if len(words) < 3:
            self.say("334 ")
            words.append(self.line() or "")
        if self.granted(words[2]):
            self.say("235 2.7.0 Accepted by the bearer")
            return True
        self.say("334 " + base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode())
        self.line()
        self.say("535 5.7.8 This token opens nothing")
        return False

    def handle(self):
        global count
        self.file, secure, known, recipients = self.request.makefile("rb"), False, False, 0
        self.say("220 oauth.provider.test ESMTP")
        while (line := self.line()) is not None:
            words = line.split(" ")
            verb = words[0].upper()
            if verb == "EHLO":
                self.say("250-oauth.provider.test\r\n250-8BITMIME\r\n250 " + ("AUTH XOAUTH2 OAUTHBEARER" if secure else "STARTTLS"))
            elif verb == "STARTTLS" and not secure:
                self.say("220 2.0.0 ready")
                self.request = context.wrap_socket(self.request, server_side=True)
                self.file, secure = self.request.makefile("rb"), True
            elif verb == "AUTH" and secure:
                known = self.authenticate(words)
            elif verb == "MAIL":
                recipients = 0
                self.say("250 2.1.0 ok" if known else "530 5.7.0 log in first")
            elif verb == "RCPT" and known:
                recipients += 1
                self.say("250 2.1.5 ok")
            elif verb == "DATA" and recipients:
                self.say("354 go")
                content = b""
                while (part := self.file.readline()) != b".\r\n":
                    if not part:
                        return
                    content += part[1:] if part.startswith(b".") else part
                with lock:
                    count += 1
                    path = os.path.join(mailbox, f"{count}.eml")
                open(path + ".part", "wb").write(content)
                os.rename(path + ".part", path)
                self.say("250 2.0.0 taken by the bearer")
            elif verb in ("RSET", "NOOP"):
                self.say("250 2.0.0 ok")
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("503 5.5.1 not now")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


server = Server(("127.0.0.1", int(port)), Session)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
