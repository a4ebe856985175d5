import logUpdate, { createLogUpdate } from 'log-update';

export interface Screen {
  /** A line that stays. */
  say(line: string): void;
  /** What happens just now; only shown in a terminal. */
  live(text: string): void;
  done(): void;
}

/** Live progress in a terminal, plain lines elsewhere. With `json`, standard output is left to the summary. */
export function openScreen(json: boolean): Screen {
  const stream = json ? process.stderr : process.stdout;
  if (!stream.isTTY) {
    return { say: (line) => void stream.write(`${line}\n`), live: () => undefined, done: () => undefined };
  }
  const update = json ? createLogUpdate(process.stderr) : logUpdate;
  return {
    say: (line) => {
      update.clear();
      stream.write(`${line}\n`);
    },
    live: (text) => update(text),
    done: () => update.clear(),
  };
}
