// Pages work without this. It only keeps a button from being pressed twice, and moves to the summary of errors.
document.addEventListener("submit", function (event) {
  var button = event.target.querySelector("button");
  if (button) {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
    setTimeout(function () { delete event.target.dataset.sent; }, 4000);
  }
});
var summary = document.querySelector(".govuk-error-summary");
if (summary) summary.focus();

// The editor of rules: numbers of lines, faults while one writes, and links that go to their line.
function toLine(editor, line) {
  var lines = editor.value.split("\n"), at = 0;
  for (var i = 0; i < line - 1 && i < lines.length; i++) at += lines[i].length + 1;
  editor.focus();
  editor.setSelectionRange(at, at + (lines[line - 1] || "").length);
  editor.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(editor).lineHeight));
}

function element(name, text, parent) {
  var made = document.createElement(name);
  made.textContent = text;
  parent.appendChild(made);
  return made;
}

function tell(place, said) {
  place.textContent = "";
  if (said.fault) return void (element("p", said.fault, place).className = "govuk-body");
  if (!said.found.length) return void (element("p", "No fault was found.", place).className = "govuk-body");
  var list = element("ul", "", place);
  list.className = "govuk-list";
  said.found.forEach(function (one) {
    var item = element("li", "", list), head = element("strong", one.error ? "Error" : "Warning", item);
    item.className = one.error ? "lg-found__error" : "lg-found__warning";
    if (one.file) head.append(" in " + one.file);
    if (one.line && one.file) head.append(", line " + one.line);
    if (one.line && !one.file) {
      head.append(", ");
      var link = element("a", "line " + one.line, head);
      link.href = "#text";
      link.className = "govuk-link";
      link.dataset.line = one.line;
    }
    head.append(":");
    item.append(" " + one.message);
    if (one.help) item.append(document.createElement("br"), one.help);
  });
}

var editor = document.querySelector("textarea[data-check]");
if (editor) {
  var gutter = document.createElement("div");
  gutter.className = "lg-editor__lines lg-code";
  gutter.setAttribute("aria-hidden", "true");
  editor.before(gutter);
  var number = function () {
    var count = editor.value.split("\n").length, text = "";
    for (var i = 1; i <= count; i++) text += i + "\n";
    gutter.textContent = text;
    gutter.style.height = editor.offsetHeight + "px";
    gutter.scrollTop = editor.scrollTop;
  };
  var waiting, latest = 0;
  var check = function () {
    var mine = ++latest, sent = new URLSearchParams();
    ["token", "began", "name", "text"].forEach(function (key) {
      if (editor.form.elements[key]) sent.append(key, editor.form.elements[key].value);
    });
    fetch(editor.dataset.check, { method: "POST", headers: { Accept: "application/json" }, body: sent, redirect: "error" })
      .then(function (answer) { return answer.json(); })
      .then(function (said) { if (mine === latest) tell(document.getElementById("found"), said); })
      .catch(function () {});
  };
  editor.addEventListener("input", function () {
    number();
    clearTimeout(waiting);
    waiting = setTimeout(check, 600);
  });
  editor.addEventListener("scroll", function () { gutter.scrollTop = editor.scrollTop; });
  window.addEventListener("resize", number);
  number();
  var wanted = Number(new URLSearchParams(location.search).get("line"));
  if (wanted > 0) toLine(editor, wanted);
  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[href='#text'][data-line]");
    if (!link) return;
    event.preventDefault();
    toLine(editor, Number(link.dataset.line));
  });
}
