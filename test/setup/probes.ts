/**
 * A probe's command that is true once a file is there and `also` is. Probes come once a second at the most, and the first
 * one before a program can have started: this one waits a while, so that a pod isn't ready a second later than it could be.
 */
export function onceThere(file: string, also = 'true') {
  const wait = `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do test -e "${file}" && break; sleep 0.1; done`;
  return {
    exec: { command: ['/bin/sh', '-c', `${wait}; test -e "${file}" && ${also}`] },
    periodSeconds: 1,
    timeoutSeconds: 3,
    failureThreshold: 1,
  };
}
