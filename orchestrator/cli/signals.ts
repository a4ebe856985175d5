import { constants } from 'node:os';

const ENDING = ['SIGTERM', 'SIGINT'] as const;

/**
 * Ends the process at once when it is asked to, as it would by itself, until {@link untilAsked} takes over. The first process of
 * a container has to say so: the kernel keeps signals from it that nobody handles (pid_namespaces(7)), and a start that waits for
 * a database, or a migration, would only end when it is killed.
 */
export function endWhenAsked(): void {
  for (const each of ENDING) process.on(each, end);
}

/** For what stays and ends in order. @returns the signal, once it has come */
export function untilAsked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const each of ENDING) {
      process.once(each, () => resolve(each));
      process.off(each, end);
    }
    // A parent that started us with a channel and is gone: nobody would stop us any more.
    process.once('disconnect', () => resolve('SIGTERM'));
  });
}

function end(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}
