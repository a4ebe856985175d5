import { inject } from 'vitest';

export interface Backend {
  readonly name: string;
  /** Why it can't be had here; undefined when it can. */
  readonly skipped: string | undefined;
  readonly url: (ledgerUrl: string) => string;
}

/** The two queue backends: suites over them pass on both. */
export function queueBackends(): readonly Backend[] {
  const redis = inject('redis');
  return [
    { name: 'PostgreSQL', skipped: undefined, url: (ledgerUrl) => ledgerUrl },
    'url' in redis
      ? { name: 'Redis', skipped: undefined, url: () => redis.url }
      : { name: `Redis (skipped: ${redis.skipped})`, skipped: redis.skipped, url: () => '' },
  ];
}
