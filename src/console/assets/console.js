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
