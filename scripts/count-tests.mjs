// Prints "N passed, N failed, N skipped" from the JSON report of a test run. Exits 1 when something failed or was skipped:
// with its servers installed, nothing has a reason to be.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const skipped = report.numPendingTests + report.numTodoTests;
for (const { assertionResults } of report.testResults) {
  for (const { status, fullName } of assertionResults) {
    if (status === 'skipped' || status === 'todo') process.stdout.write(`${status}: ${fullName}\n`);
  }
}
// What failed comes last, with its words: who sees only the end of a log sees that.
for (const { name, message, assertionResults } of report.testResults) {
  if (message) process.stdout.write(`failed: ${name}\n${beginning(message)}\n`);
  for (const { status, fullName, failureMessages } of assertionResults) {
    if (status === 'failed')
      process.stdout.write(`failed: ${fullName}\n${failureMessages.map(beginning).join('\n')}\n`);
  }
}
process.stdout.write(
  `${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped} skipped\n`,
);
process.exitCode = report.numFailedTests > 0 || report.numPassedTests === 0 ? 1 : 0;

/** As much of a message as tells what happened. */
function beginning(message) {
  return message
    .split('\n')
    .slice(0, 25)
    .map((line) => `  ${line.slice(0, 300)}`)
    .join('\n');
}
