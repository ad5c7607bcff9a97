//! Tables, keys of a rule, modes, addresses, actions, and what may be filled in.

use super::{Section, Word, word};

use Section::{Action, Address, Fill, IfUnknown, Mode, Rule, Table};

pub const WORDS: &[Word] = &[
    word(
        Table,
        "[[rule]]",
        "id, title, clauses, mode, say, override, if-unknown, when, unless, then",
        "One rule: when it applies, and what then happens.",
        "[[rule]]\nid      = \"confidential-must-be-encrypted\"\ntitle   = \"Confidential mail must be encrypted\"\nclauses = [\"wragby/email-confidential\"]\nwhen.direction = \"outbound\"\nwhen.marked    = \"confidential\"\nwhen.protected = false\nthen.reject = \"Not sent: marked confidential but not encrypted. Add a password to the document, then resend.\"",
    )
    .slip("[rule]\nid = \"a\"\nwhen = \"always\"\nthen.notify = [\"clerk\"]", "there may be several of `rule`, so it takes two brackets"),
    word(
        Table,
        "[[list]]",
        "name, entries",
        "Addresses under one name, for every condition that takes addresses: write \"@\" and the name there. Lists of one name in several files add up, and a list may name other lists. The list \"partners\" is the council's trusted outside (county, district, police): it is not counted as external and stays visible. Made for you: @council, @clerk, @chair, @councillors and @staff (from the site file), @consumer (gmail.com and the like).",
        "[[list]]\nname    = \"partners\"\nentries = [\"lincolnshire.gov.uk\", \".police.uk\"]",
    )
    .slip("[[list]]\nname = \"partners\"\nentries = [\"*.police.uk\"]", "\"*.police.uk\" has a star"),
    word(
        Table,
        "[[condition]]",
        "name, and any conditions",
        "Conditions under a name of their own, so that several rules can use them with `is`.",
        "[[condition]]\nname      = \"to-strangers\"\ndirection = \"outbound\"\nvisible-external.at-least = 3\n\n[[rule]]\nid = \"example\"\nwhen.is = \"to-strangers\"\nthen.notify = [\"clerk\"]",
    )
    .slip("[[condition]]\nname = \"empty\"", "this condition asks for nothing"),
    word(
        Table,
        "[[exempt]]",
        "when; from = [\"rule-id\", …] or \"content\"; record = a level of recording",
        "Mail that rules let alone. It is judged before all rules. from = \"content\" exempts from every rule that reads what people wrote. Nothing can be exempt from rules on viruses, attachments or ambiguity.",
        "[[exempt]]\nwhen.any = [{ every-outsider = \"unison.org.uk\" }, { sender = \"unison.org.uk\" }]\nfrom   = \"content\"\nrecord = \"count\"",
    )
    .slip("[[exempt]]\nwhen.sender = \"unison.org.uk\"", "this exemption exempts from nothing"),
    word(
        Table,
        "[[expect]]",
        "message = a file; disposition = \"deliver\", \"hold\", \"defer\" or \"reject\"; mail-from, rcpt-to, role, listener",
        "A sample message and what must become of it. A change of rules that breaks it is refused by `check` and by reloading. The path is relative to the rule file.",
        "[[expect]]\nmessage     = \"samples/agenda.eml\"\ndisposition = \"deliver\"",
    )
    .slip("[[expect]]\nmessage = \"samples/agenda.eml\"", "an expectation needs a message and a disposition"),
    word(
        Table,
        "[policy]",
        "text = a file; clauses = a file",
        "The council's own policy: its adopted text, and a file with its [[clause]] tables. Paths are relative to the rule file. `policy coverage`, `policy lint` and `policy print` read them. The policies of Wragby and Wrentham are built in.",
        "[policy]\ntext    = \"policy.txt\"\nclauses = \"clauses.toml\"",
    )
    .slip("[policy]\ntext = \"nowhere.txt\"", "the file \"nowhere.txt\" cannot be read"),
    word(
        Table,
        "[[clause]]",
        "id, words, and one of enforced-by = [\"rule-id\", …], assisted-by = [\"rule-id\", …], outside = \"why\"",
        "One clause of a policy: its id (\"policy/clause\"), its words as they were adopted (… for what is left out), and how far a mail gateway reaches it.",
        "[[clause]]\nid      = \"oakham/3.2\"\nwords   = \"Devices must be locked when unattended.\"\noutside = \"It is about devices, which mail does not pass.\"",
    )
    .slip("[[clause]]\nid = \"oakham/3.2\"\nwords = \"Devices must be locked.\"", "a clause is enforced, assisted or outside: one of them"),
    word(
        Table,
        "[rules.tune.ID]",
        "mode, clauses, say, and any number that the rule bounds",
        "In the site file, not in a rule file: another mode, other clauses, another text or another number for a shipped rule, without copying it.",
        "[rules.tune.hide-recipients]\nmode = \"warn\"\nvisible-external.at-least = 5",
    ),
    //
    word(Rule, "id", "a short name with letters, digits and hyphens", "The rule's own name, unique over all files. It stands in the record, in notices and in [rules.tune.ID].", "id = \"hide-recipients\"")
        .slip("id = \"hide recipients\"", "an id has letters, digits and hyphens only"),
    word(Rule, "title", "a text", "What the rule is for, in a few words. `policy print` and notices show it. When not said: the id.", "title = \"Hide residents' addresses from one another\""),
    word(
        Rule,
        "clauses",
        "ids of clauses",
        "Which clauses of the adopted policy the rule serves. They must exist: `lychgate policy coverage` lists them.",
        "clauses = [\"wragby/multiple-recipients\"]",
    )
    .slip("clauses = [\"wragby/multiple-recipient\"]", "no policy has a clause \"wragby/multiple-recipient\""),
    word(Rule, "mode", "\"off\", \"observe\", \"warn\" or \"enforce\"", "How far the rule goes; see Modes. When not said: enforce.", "mode = \"warn\"").slip("mode = \"enforced\"", "`mode` does not take \"enforced\""),
    word(
        Rule,
        "say",
        "a text",
        "What the rule's notice says. A refusal has a text of its own under then.reject. When not said: the refusal's text, else the title.",
        "say = \"{count} addresses were hidden from one another.\"",
    )
    .slip("say = \"{cuont} addresses\"", "nothing is known to fill in for {cuont}"),
    word(
        Rule,
        "override",
        "one word",
        "Lets the sender lift the rule: whoever writes [word: reason] into the subject is let through, the tag is cut out, and the reason is recorded. Only a council sender can.",
        "override = \"show-recipients\"",
    )
    .slip("override = \"[show: me]\"", "an override is one word, without brackets"),
    word(
        Rule,
        "if-unknown",
        "\"defer\", \"hold\" or \"skip\"",
        "What happens when the rule needs a fact from outside that could not be had. When not said: defer where the rule stops or changes mail, otherwise skip. Only when said, it is also for attached text that could not be read.",
        "if-unknown = \"skip\"",
    )
    .slip("if-unknown = \"reject\"", "`if-unknown` does not take \"reject\""),
    word(Rule, "when", "conditions, or \"always\"", "When the rule applies: all of these conditions together. Write one a line, with dots.", "when.direction = \"outbound\"\nwhen.marked    = \"confidential\"")
        .slip("when = {}", "an empty `when` does not say when the rule applies"),
    word(
        Rule,
        "unless",
        "a list of exceptions, each { conditions }",
        "Any one of these lifts the rule for the whole message. Inside one pair of braces all must hold.",
        "unless = [{ calendar = true }, { list-mail = true }]",
    )
    .slip("unless = { calendar = true, list-mail = true }", "either or both? `unless` has two exceptions in one table"),
    word(Rule, "then", "actions", "What happens when the rule applies; see Actions.", "then.notify = [\"clerk\"]").slip("then.notfy = [\"clerk\"]", "there is no action `notfy`"),
    //
    word(Mode, "off", "mode = \"off\"", "The rule is not looked at.", "mode = \"off\""),
    word(Mode, "observe", "mode = \"observe\"", "The rule is judged and recorded; mail is not touched and nobody is told.", "mode = \"observe\""),
    word(Mode, "warn", "mode = \"warn\"", "Mail is delivered unchanged, and the sender and the people under then.notify hear what would have happened.", "mode = \"warn\""),
    word(Mode, "enforce", "mode = \"enforce\"", "The rule does what it says. This is what holds when no mode is said.", "mode = \"enforce\""),
    //
    word(IfUnknown, "defer", "if-unknown = \"defer\"", "The client hears that it should try again later; nothing is lost and nothing slips out.", "if-unknown = \"defer\""),
    word(IfUnknown, "hold", "if-unknown = \"hold\"", "The message waits for somebody's decision.", "if-unknown = \"hold\""),
    word(IfUnknown, "skip", "if-unknown = \"skip\"", "The rule does not apply to this message.", "if-unknown = \"skip\""),
    //
    word(Address, "\"jo@x.uk\"", "an address", "That address.", "when.sender = \"jo@x.uk\"").slip("when.sender = \"Jo <jo@x.uk>\"", "is neither an address, nor a domain, nor a list"),
    word(Address, "\"x.uk\"", "a domain", "Every address at that domain, and not at the domains below it.", "when.sender = \"x.uk\""),
    word(Address, "\".x.uk\"", "a domain with a dot in front", "Every address at a domain below it, and not at the domain itself.", "when.sender = \".police.uk\"").slip("when.sender = \"*.police.uk\"", "\"*.police.uk\" has a star"),
    word(Address, "\"@name\"", "a list with @ in front", "Every address in that [[list]], or in a list that is made for you.", "when.sender = \"@councillors\"").slip("when.sender = \"@councilors\"", "there is no list \"@councilors\""),
    //
    word(
        Action,
        "reject",
        "the text that the client hears",
        "The message is not taken (550). Say first what the sender should do, in plain letters and at most about 200 characters; a reference is added. Every council sender whose mail is refused is also told by a notice.",
        "then.reject = \"Not sent: marked confidential but not encrypted. Add a password to the document, then resend.\"",
    )
    .slip("then.reject = \"\"", "the sender must hear why"),
    word(Action, "defer", "the text that the client hears", "The message is not taken now (451): the client or server keeps it and tries again.", "then.defer = \"Not sent yet: the scanner is silent. It will be tried again.\"").slip("then.defer = true", "`defer` takes a text, and this is true or false"),
    word(
        Action,
        "hold",
        "{ by = \"clerk\", \"chair\" or \"sender\"; for = a duration; then = \"return\" or \"release\" }",
        "The message waits until that person decides, for at most that long (when not said: 7 days). At the end it goes back to the sender, or with then = \"release\" it goes out. Whoever holds it gets a notice, the sender another; `lychgate held` shows, releases and refuses, and a sender who is to decide answers the notice with a number.",
        "then.hold = { by = \"clerk\", for = \"7d\" }",
    )
    .slip("then.hold = { by = \"clerk\", for = \"10m\" }", "\"10m\" could mean minutes or months"),
    word(Action, "drop", "true", "The message is taken and thrown away. Only for rules that ask for `automatic` mail, so that nobody's letter is ever lost.", "when.automatic = \"reply\"\nthen.drop = true"),
    word(
        Action,
        "hide-recipients",
        "\"bcc\" or \"split\"",
        "bcc: outside addresses are taken out of To and Cc, and everybody still gets the message. split: each outsider gets a copy of their own, with only their own address in it. The council's and its partners' addresses stay visible. If two rules ask, split wins. Copies keep their Message-ID, leave at the pace the provider allows, and their sender hears of the end.",
        "when.direction = \"outbound\"\nthen.hide-recipients = \"bcc\"",
    )
    .slip("when.direction = \"outbound\"\nthen.hide-recipients = true", "`hide-recipients` takes a text, and this is true or false"),
    word(
        Action,
        "notify",
        "[\"sender\", \"clerk\", \"chair\"], or { to = […], every = a duration }",
        "These people are told, once for each message and rule; with `every` at most so often. The sender is told only if it is a council address on submission or connector: strangers are told nothing.",
        "then.notify = [\"sender\", \"clerk\"]",
    )
    .slip("then.notify = [\"mayor\"]", "`notify` does not take \"mayor\""),
    word(Action, "banner", "a text of at most 500 characters, or { text = …, tag = \"[External]\" }", "Puts a line on top of the text. Only into a body that is neither signed nor encrypted; otherwise the tag goes into the subject. Once, however often the mail goes to and fro.", "when.direction = \"inbound\"\nthen.banner = \"This message comes from outside the council.\""),
    word(Action, "tag-subject", "a text of at most 40 characters", "Puts a tag in front of the subject, once.", "when.direction = \"inbound\"\nthen.tag-subject = \"[External]\"").slip("then.tag-subject = \"\"", "a tag is a short text on one line"),
    word(Action, "add-header", "{ Name = \"value\" }", "Adds a header field of your own.", "then.add-header = { X-Council = \"yes\" }").slip("then.add-header = { To = \"jo@x.uk\" }", "the field To cannot be added"),
    word(Action, "remove-header", "[\"Name\"]", "Removes header fields. Those that a message needs cannot be removed.", "then.remove-header = [\"Reply-To\"]").slip("then.remove-header = [\"Subject\"]", "the field Subject cannot be removed"),
    word(Action, "copy-to", "addresses", "These addresses get a copy. It changes the envelope only: nobody sees it in the message.", "then.copy-to = [\"@clerk\"]"),
    word(Action, "redirect", "{ \"old@x.uk\" = \"new@x.uk\" }, or \"@clerk\", \"@chair\" for new", "Mail to these recipients goes to others instead; the other recipients are not touched. Nobody sees it in the message.", "when.recipient = \"cllr.elm@wragbyparishcouncil.gov.uk\"\nthen.redirect = { \"cllr.elm@wragbyparishcouncil.gov.uk\" = \"@clerk\" }"),
    word(Action, "redirect-to", "addresses", "The message goes to these addresses instead of all its recipients.", "then.redirect-to = [\"@clerk\"]"),
    word(Action, "require-tls", "\"verified\"", "The message leaves only where every recipient's server is proven and the line is encrypted; otherwise nobody gets it. `check` refuses it where no upstream can promise that.", "then.require-tls = \"verified\""),
    word(Action, "sign", "\"dkim\"", "The message is signed with the council's DKIM key, after all changes.", "then.sign = \"dkim\""),
    word(
        Action,
        "record",
        "\"nothing\", \"count\", \"metadata\" or \"evidence\"",
        "How much is recorded of a message that matches: nothing; only that there was one; who, when and which rules (metadata); also which detectors found what (evidence). Of all matching rules the least wins.",
        "when.marked = \"personal\"\nthen.record = \"count\"",
    )
    .slip("then.record = \"none\"", "`record` does not take \"none\""),
    //
    word(Fill, "{count}", "", "How many: addresses hidden, or the first number that the rule bounds.", "when.visible-external.at-least = 3\nsay = \"{count} addresses can be seen by all of them.\""),
    word(Fill, "{subject}", "", "The subject of the message.", "say = \"About your message \\\"{subject}\\\".\""),
    word(Fill, "{files}", "", "Names of the attachments that are not protected; \"the message\" where there is none.", "say = \"{files} can be read by anybody.\""),
    word(Fill, "{domains}", "", "The domains of the outside addresses that are visible.", "say = \"Addresses at {domains} are visible.\""),
    word(Fill, "{direction}", "", "outbound, internal or inbound.", "say = \"This is {direction} mail.\""),
];
