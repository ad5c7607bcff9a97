//! What a rule may ask of a message.

use super::{Section, Word, word};

use Section::{Files, Joining, Marking, Nature, Outside, Recipients, Sender, Text, Time, Way};

/// Of words that name their values.
const KINDS: &str = "{ kinds = [\"executable\", \"script\", \"macro\", \"archive\", \"encrypted-archive\", \"encrypted-document\", \"disk-image\", \"double-extension\", \"calendar\", \"video\"], at-least = \"15MB\", at-most = a size }, or true, or false";

const IDENTIFIERS: &str = "{ kinds = [\"national-insurance\", \"nhs\", \"bank-account\", \"tax-reference\", \"passport\", \"driving-licence\", \"payment-card\"], at-least = 1, at-most = a number }, a list of kinds, or true";

pub const WORDS: &[Word] = &[
    word(Joining, "any", "[{ conditions }, { conditions }]", "At least one of these holds.", "when.any = [{ calendar = true }, { list-mail = true }]").slip("when.any = { calendar = true }", "`any` takes a list of tables"),
    word(Joining, "all", "[{ conditions }, { conditions }]", "All of these hold. Useful for a second `any` in one rule.", "when.all = [{ any = [{ size.at-least = \"1MB\" }, { calendar = true }] }, { any = [{ reply = true }, { marked = \"confidential\" }] }]"),
    word(Joining, "not", "{ conditions }", "These do not all hold. What cannot be known stays unknown.", "when.not = { sender = \"@council\" }").slip("when.not = true", "`not` takes a table with conditions"),
    word(Joining, "is", "names of [[condition]] tables", "That named condition holds; of several names, any.", "[[condition]]\nname = \"leaving\"\ndirection = \"outbound\"\n\n[[rule]]\nid = \"example\"\nwhen.is = \"leaving\"\nthen.notify = [\"clerk\"]")
        .slip("when.is = \"nothing-of-that-name\"", "there is no condition named \"nothing-of-that-name\""),
    //
    word(
        Way,
        "direction",
        "\"outbound\", \"internal\" or \"inbound\"",
        "outbound: an outsider is to get it. internal: from the council to the council only. inbound: to the council from somebody else. On an mx listener mail is always inbound, whatever it claims.",
        "when.direction = \"outbound\"",
    )
    .slip("when.direction = \"outgoing\"", "`direction` does not take \"outgoing\""),
    word(Way, "role", "\"submission\", \"connector\" or \"mx\"", "The kind of listener that the mail came through: mail programs with a password, the provider, or the world.", "when.role = [\"submission\", \"connector\"]").slip("when.role = \"smtp\"", "`role` does not take \"smtp\""),
    word(Way, "listener", "names of listeners", "The listener of that name in the site file.", "when.listener = \"submission\"").slip("when.listener = \"submision\"", "there is no listener \"submision\""),
    //
    word(Sender, "sender", "addresses", "The author in From, as written. It can be forged: for an exception use `proven-sender`. Where From names several people or none, no address fits.", "when.sender = \"@council\"").slip("when.sender = \"@clrk\"", "there is no list \"@clrk\""),
    word(Sender, "proven-sender", "addresses", "The same, and proven: by the login (submission), or by DMARC, DKIM or SPF for the domain of From (mx). What an exception should use.", "when.attachment = \"macro\"\nunless = [{ proven-sender = \"@partners\" }]").slip("unless = [{ proven-sender = \"@partner\" }]", "there is no list \"@partner\""),
    word(Sender, "envelope-sender", "addresses", "The sender that servers use among themselves (the reverse path), to which bounces go.", "when.envelope-sender = \".bounces.example.com\""),
    word(Sender, "sends-as-other", "true or false", "From is neither the account that logged in nor one it may send for. Only a submission listener knows a login.", "when.role = \"submission\"\nwhen.sends-as-other = true").slip("when.role = \"mx\"\nwhen.sends-as-other = true", "`sends-as-other` is not known where this rule is judged"),
    word(Sender, "personal-account", "\"recipient\", \"own-recipient\", \"sender\" or \"reply-to\"", "recipient: somebody there has a personal account (gmail.com and the like), which is no offence. own-recipient: a recipient is, or looks like, a council user's own account. sender: From is a personal account. reply-to: answers would go to one.", "when.personal-account = \"own-recipient\"").slip("when.personal-account = true", "`personal-account` takes a text or a list of texts, and this is true or false"),
    word(Sender, "impersonates", "\"council\", \"clerk\", \"chair\", \"councillors\" or \"@list\"", "Mail from outside bears that name, or comes from a domain that looks like the council's or, of a list, like one of its domains. Partners, names below gov.uk, and people's own registered accounts that are proven have a right to theirs.", "when.direction = \"inbound\"\nwhen.impersonates = [\"clerk\", \"chair\"]").slip("when.impersonates = \"mayor\"", "`impersonates` does not take \"mayor\""),
    //
    word(Recipients, "recipient", "addresses", "At least one recipient is such.", "when.recipient = \"@partners\""),
    word(Recipients, "every-recipient", "addresses", "All recipients are such.", "unless = [{ every-recipient = \"@clerk\" }]"),
    word(Recipients, "every-outsider", "addresses", "All recipients that are not the council's are such, and there is at least one.", "unless = [{ every-outsider = \"@partners\" }]"),
    word(Recipients, "recipient-count", "{ at-least = …, at-most = … }", "How many recipients there are: in the envelope or in the message, whichever is more.", "when.recipient-count.at-least = 50").slip("when.recipient-count = 50", "`recipient-count` takes the least or the most, and this is a number"),
    word(Recipients, "outsider-count", "{ at-least = …, at-most = … }", "How many of them are not the council's.", "when.outsider-count.at-least = 5"),
    word(Recipients, "visible-external", "{ at-least = …, at-most = … }", "How many different outside addresses everybody can see (To, Cc, Reply-To and the like). Partners are not counted.", "when.direction = \"outbound\"\nwhen.visible-external.at-least = 3").slip("when.visible-external.at-least = 3\nwhen.visible-external.at-most = 2", "`visible-external` can never be at least 3 and at most 2"),
    word(Recipients, "visible-personal", "{ at-least = …, at-most = … }", "How many of these are personal accounts (gmail.com and the like).", "when.visible-personal.at-least = 3"),
    word(Recipients, "inner-recipients", "{ at-least = …, at-most = … }", "How many addresses stand in To and Cc inside a signed or encrypted part, where nobody can hide them (RFC 9788).", "when.inner-recipients.at-least = 1"),
    word(Recipients, "addresses-in-text", "{ at-least = …, at-most = … }", "How many different personal addresses stand in the text and in attachments, old trails included.", "when.direction = \"outbound\"\nwhen.addresses-in-text.at-least = 5"),
    //
    word(Text, "subject", "{ words = […] } or { matches = ['…'] }", "The subject, without Re:, Fwd: and the like. `words` are whole words in any case; `matches` are regular expressions in single quotes, in any case.", "when.subject.words = [\"press enquiry\"]").slip("when.subject = \"press enquiry\"", "`subject` takes words or patterns, and this is a text"),
    word(Text, "body", "{ words = […], matches = ['…'], in = \"new\", \"quoted\" or \"all\" }", "The text. in = \"new\" (when not said) leaves out quoted mail and the legal footer.", "when.body.words = [\"subject access request\"]").slip("when.body = { words = [\"x\"], in = \"footer\" }", "`in` does not take \"footer\""),
    word(Text, "text", "{ words = […] } or { matches = ['…'] }", "Subject, text, and the text inside attachments: documents, archives, attached messages, and what is there but not shown. A file that cannot be read makes it unknown for a rule that says `if-unknown`; for others, what is not found is not there.", "when.text.words = [\"tender price\"]").slip("when.text.words = []", "the list of `words` is empty"),
    word(Text, "header", "header.NAME = true, false, { words = […] } or { matches = ['…'] }", "The header field of that name: that it is there, or its words.", "when.header.X-Priority.words = [\"1\"]").slip("when.header = \"X-Priority\"", "`header` takes the name of a field"),
    word(Text, "attachment-name", "true, false, { words = […] } or { matches = ['…'] }", "The names of attachments.", "when.attachment-name.matches = ['\\.one$']"),
    //
    word(Marking, "marked", "\"confidential\" or \"personal\"", "The sender marked it so: the Sensitivity field, the council's own label or header, or a tag at the start of the subject or the text. The word in a legal footer never counts.", "when.marked = \"confidential\"").slip("when.marked = \"secret\"", "`marked` does not take \"secret\""),
    word(Marking, "protected", "true, false, \"message\" or \"attachments\"", "message: the message is encrypted. attachments: every attachment needs a password to open. true: either. false: neither. What only looks protected is not, and `explain` says why.", "when.marked = \"confidential\"\nwhen.protected = false").slip("when.protected = \"yes\"", "`protected` does not take \"yes\""),
    word(Marking, "clear-text", "{ at-least = …, at-most = … }", "How many characters can be read outside what is protected.", "when.protected = \"attachments\"\nwhen.clear-text.at-least = 1500"),
    word(Marking, "identifiers", IDENTIFIERS, "Numbers that belong to one person or account, with their check digits and the words around them. Numbers at large (dates, telephones) are not counted.", "when.identifiers = { kinds = [\"national-insurance\"], at-least = 1 }").slip("when.identifiers = \"nino\"", "`identifiers` does not take \"nino\""),
    word(Marking, "password-disclosed", "true, \"beside\", \"later\" or \"alone\"", "beside: a protected document and its password go in one message. later: the password follows to the same recipient. alone: a password stands in the text. true: beside or later.", "when.password-disclosed = [\"beside\", \"later\"]").slip("when.password-disclosed = \"near\"", "`password-disclosed` does not take \"near\""),
    //
    word(Nature, "forwarded", "true, false, \"by-hand\" or \"automatic\"", "It is a forward, by hand or by a mailbox rule.", "when.forwarded = \"automatic\"").slip("when.forwarded = \"auto\"", "`forwarded` does not take \"auto\""),
    word(Nature, "calendar", "true or false", "It is an invitation or an answer to one.", "unless = [{ calendar = true }]").slip("when.calendar = \"yes\"", "`calendar` takes true or false, without quotes"),
    word(Nature, "list-mail", "true or false", "It comes from a mailing list.", "unless = [{ list-mail = true }]"),
    word(Nature, "automatic", "true, false, \"reply\", \"bounce\", \"receipt\" or \"generated\"", "A machine sent it: an out-of-office reply, a bounce, a read receipt, or mail that says it was generated. true: any of them.", "unless = [{ automatic = true }]").slip("when.automatic = \"out-of-office\"", "`automatic` does not take \"out-of-office\""),
    word(Nature, "reply", "true, false or \"to-all\"", "It answers another message; to-all: and goes to more than one person.", "when.reply = \"to-all\"").slip("when.reply = \"all\"", "`reply` does not take \"all\""),
    word(Nature, "ambiguous", "true, false, or kinds: \"duplicate-field\", \"broken-header\", \"characters\", \"author\", \"address\", \"boundary\", \"content-type\", \"encoding\", \"file-name\", \"embedded-file\", \"fragment\", \"unreadable\"", "Mail programs may disagree on what the message holds or who sent it, which tricksters use to get past a check. Every rule is held against every plausible reading anyway; this says that there are several. Kinds: any of them.", "when.ambiguous = [\"boundary\", \"content-type\"]").slip("when.ambiguous = \"odd\"", "`ambiguous` does not take \"odd\""),
    //
    word(Files, "attachment", KINDS, "An attachment of that kind and size; one file must fit all keys. The size is that of the decoded file. true: any attachment.", "when.attachment = { kinds = [\"executable\", \"script\"] }").slip("when.attachment = \"exe\"", "`attachment` does not take \"exe\""),
    word(Files, "links", "true, \"text-differs\", \"look-alike\", \"numeric\" or \"shortened\"", "A link whose text names another place than it leads to; a look-alike of the council's or a partner's domain; a bare number instead of a name; a link shortener. true: any of them.", "when.direction = \"inbound\"\nwhen.links = [\"text-differs\", \"look-alike\"]").slip("when.links = \"bad\"", "`links` does not take \"bad\""),
    //
    word(Outside, "seen-together", "true or false", "All outside addresses that are visible had seen one another before. Unknown where no record of past mail is kept.", "when.visible-external.at-least = 3\nwhen.seen-together = false\nif-unknown = \"skip\""),
    word(Outside, "first-contact", "true or false", "There was no earlier mail between the two, either way. Unknown where no record of past mail is kept.", "when.first-contact = true").slip("when.first-contact = \"yes\"", "`first-contact` takes true or false, without quotes"),
    word(Outside, "virus", "true or false", "The virus scanner found something. Unknown where no scanner is set up or it does not answer.", "when.virus = true"),
    word(Outside, "spf", "\"pass\", \"fail\" or \"none\"", "Whether the sending machine may send for the domain of the reverse path. none: its owner does not say, or not clearly. Known on mx only; a failed look-up is unknown.", "when.role = \"mx\"\nwhen.spf = \"fail\"").slip("when.role = \"submission\"\nwhen.spf = \"fail\"", "`spf` is not known where this rule is judged"),
    word(Outside, "dkim", "\"pass\", \"fail\" or \"none\"", "Whether a signature of the domain in From holds. fail: there are such, and none holds. Known on mx and connector; a failed look-up is unknown.", "when.role = \"mx\"\nwhen.dkim = \"fail\"").slip("when.dkim = \"good\"", "`dkim` does not take \"good\""),
    word(Outside, "dmarc", "\"pass\", \"fail\" or \"none\"", "Whether the domain in From is proven in the way that its owner asks; none where it asks for nothing. On a connector by its signature alone, and never fail. A failed look-up is unknown.", "when.role = \"mx\"\nwhen.sender = \"@council\"\nwhen.dmarc = \"fail\"").slip("when.dmarc = \"reject\"", "`dmarc` does not take \"reject\""),
    word(Outside, "unknown", "[\"virus\", \"spf\", \"dkim\", \"dmarc\", \"seen-together\", \"first-contact\", \"password-disclosed\", \"rate\", \"text\"]", "That fact could not be had this time; text: a document or archive that should have text could not be read, being damaged, too large or of a kind that is not known. What needs a password is protected, not unknown.", "when.unknown = [\"virus\"]\nthen.defer = \"Not delivered yet: the virus scanner does not answer. It will be tried again.\"").slip("when.unknown = \"scanner\"", "`unknown` does not take \"scanner\""),
    //
    word(Time, "size", "{ at-least = \"15MB\", at-most = … }", "The size of the message as it was sent.", "when.size.at-least = \"15MB\"").slip("when.size.at-least = \"15 megabytes\"", "\"15 megabytes\" is not a size"),
    word(Time, "rate", "{ of = \"messages\" or \"recipients\", by = \"login\", \"sender\" or \"pair\", at-least = …, per = a duration }", "How much one account, one sender, or one sender to one recipient sent in that time.", "when.rate = { of = \"messages\", by = \"sender\", at-least = 300, per = \"1h\" }\nif-unknown = \"skip\"").slip("when.rate = 300", "`rate` takes a table"),
    word(Time, "dates", "[first day, last day]", "Both days and all between, in the council's time.", "when.dates = [2100-03-22, 2100-05-06]").slip("when.dates = [\"22/03/2100\", \"06/05/2100\"]", "\"22/03/2100\" is not a date"),
    word(Time, "hours", "[\"from\", \"to\"]", "The time of day, past midnight where `to` is the earlier.", "when.hours = [\"19:00\", \"07:00\"]").slip("when.hours = [\"7pm\", \"7am\"]", "\"7pm\" is not a time of day"),
    word(Time, "weekdays", "[\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]", "The day of the week.", "when.weekdays = [\"sat\", \"sun\"]").slip("when.weekdays = [\"saturday\"]", "`weekdays` does not take \"saturday\""),
];
