/**
 * The main job on real parts: a PostgreSQL, a cluster whose pods are processes of this machine, an orchestrator and two
 * workers. Four rotations: by schedule, on demand, one that fails and is rolled back, one whose worker is killed; then two leaks that
 * GitHub reports, consumers first and revoked first.
 *   npm run demo [-- --json] [-- --keep]
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Household } from './household.ts';
import { type Play, perform } from './play.ts';
import { openScreen } from './screen.ts';

const HELP = `npm run demo [-- --keep] [-- --json]

Starts everything it needs on this machine (a PostgreSQL, a miniature Kubernetes cluster, Rotor), shows four
rotations and two leaks under clients that never stop, and ends by itself: with 0 if all went as promised, with 1 otherwise.

  --keep   stays up afterwards, and says what to try
  --json   prints the summary as one JSON object on standard output, last; the rest goes to standard error

What it leaves behind for a look is in .rotor/demo.
`;
const INTERRUPTED = 130;

const options = readOptions();
const screen = openScreen(options.json);
const household = new Household();
const interruption = new AbortController();
const interrupted = new Promise<void>((done) => {
  interruption.signal.addEventListener('abort', () => done());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interruption.abort());
});

// A terminal that was closed, or a reader that has seen enough, is no reason to leave everything running.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const play: Play = { screen, household, folder: resolve('.rotor', 'demo'), keep: options.keep, interrupted };
// Not even a bug may leave pods and servers running.
const crashed = new Promise<'failed'>((done) => {
  process.on('uncaughtException', (error) => {
    complain(error);
    done('failed');
  });
});
const outcome = await Promise.race([interruptedEarly(), crashed, attempt()]);
screen.done();
if (outcome === 'interrupted') screen.say('\nInterrupted: stopping everything ...');
for (const { message } of await household.end()) process.stderr.write(`while stopping: ${message}\n`);
if (outcome !== 'interrupted' && outcome !== 'failed' && options.json)
  process.stdout.write(`${JSON.stringify(outcome.summary)}\n`);
process.exit(outcome === 'interrupted' ? INTERRUPTED : outcome !== 'failed' && outcome.good ? 0 : 1);

/** With `--keep`, an interruption after the story is the ordinary end. */
async function interruptedEarly(): Promise<'interrupted'> {
  await interrupted;
  return play.stays ? new Promise(() => undefined) : 'interrupted';
}

async function attempt() {
  try {
    return await perform(play);
  } catch (error) {
    // What is being stopped complains: that is no news.
    if (interruption.signal.aborted && !play.stays) return 'interrupted';
    complain(error as Error);
    return 'failed';
  }
}

function complain({ message }: Error): void {
  screen.done();
  process.stderr.write(`the demo failed: ${message}\n  next: look at the logs in ${play.folder}\n`);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (!values.help) return values;
    process.stdout.write(HELP);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}
