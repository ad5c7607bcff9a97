// Sends one message by nodemailer: CACHE HOST PORT TLS(none|starttls|implicit) CA AUTH(none|PLAIN|LOGIN|XOAUTH2) USER SECRET FROM TO FILE
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [cache, host, port, tls, ca, method, user, secret, from, to, file] = process.argv.slice(2);
const nodemailer = createRequire(cache + "/")("nodemailer");
const auth =
  method === "none" ? undefined : method === "XOAUTH2" ? { type: "OAuth2", user, accessToken: secret } : { user, pass: secret };
const transport = nodemailer.createTransport({
  host,
  port: Number(port),
  name: "client.example",
  secure: tls === "implicit",
  requireTLS: tls === "starttls",
  ignoreTLS: tls === "none",
  tls: { ca: readFileSync(ca) },
  auth,
  authMethod: method === "none" ? undefined : method,
});
const info = await transport.sendMail({ envelope: { from, to }, raw: readFileSync(file) });
console.log(info.response);
