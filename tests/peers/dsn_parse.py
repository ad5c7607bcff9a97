# What Python's own parser makes of a delivery status notification (RFC 3462, RFC 3464): one JSON object.
import email, email.policy, json, sys

with open(sys.argv[1], "rb") as file:
    message = email.message_from_binary_file(file, policy=email.policy.default)

defects = [str(d) for part in message.walk() for d in part.defects]
kinds = [part.get_content_type() for part in message.iter_parts()]
status = next(part for part in message.iter_parts() if part.get_content_type() == "message/delivery-status")
# Blocks of fields: the first is of the message, each other of one recipient.
blocks = [dict(block.items()) for block in status.get_payload()]
print(json.dumps({
    "type": message.get_content_type(),
    "report": message["content-type"].params.get("report-type"),
    "defects": defects,
    "kinds": kinds,
    "message": blocks[0],
    "recipients": [block for block in blocks[1:] if block],
    "text": next(message.iter_parts()).get_content(),
    "returned": dict(email.message_from_string(list(message.iter_parts())[2].as_string().split("\n\n", 1)[1]).items())
    if kinds[2] == "text/rfc822-headers" else dict(list(message.iter_parts())[2].get_payload()[0].items()),
    "auto": message["auto-submitted"],
}))
