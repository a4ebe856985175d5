import { expect, test } from 'vitest';
import { readRedisUrl } from './redis-url.ts';

test('everything that a URL may say', () => {
  expect(readRedisUrl('redis-sentinel://u%40:p%3A@[::1]:1,b/ma%2Fin/3?sentinelPassword=s%26')).toMatchObject({
    kind: 'sentinel',
    hosts: [
      { host: '::1', port: 1 },
      { host: 'b', port: 26_379 },
    ],
    username: 'u@',
    password: 'p:',
    master: 'ma/in',
    db: 3,
    sentinelPassword: 's&',
    tls: undefined,
  });
  expect(readRedisUrl('rediss://h')).toMatchObject({
    kind: 'single',
    hosts: [{ host: 'h', port: 6_379 }],
    username: undefined,
    password: undefined,
    db: 0,
    tls: { ca: undefined },
  });
  expect(readRedisUrl('rediss-cluster://:p@a:1,b:2')).toMatchObject({ kind: 'cluster', password: 'p' });
});

test.each([
  ['redis://a,b', 'names several hosts'],
  ['redis://hunter2:hunter2:hunter2', 'has a host that is not host:port'],
  ['redis://h:70000', 'has a host that is not host:port'],
  ['redis://h/hunter2', 'has a database that is no number'],
  ['redis://:hunter2%@h', 'has a "%" that encodes nothing'],
  ['redis-cluster://h/1', 'a cluster has none'],
  ['redis-sentinel://h', "needs the master's name"],
  ['redis://h?caFile=/hunter2', 'has caFile without TLS'],
  ['rediss://h?hunter2=1', 'has an option other than caFile'],
  ['redis://h?hunter2=1', 'has options, and there are none for it'],
  ['rediss://h?caFile=/nowhere/hunter2', "caFile can't be read (ENOENT)"],
  ['rediss://h?caFile=/dev/null', 'holds no certificate'],
])('%s is refused without repeating it', (url, problem) => {
  const reading = () => readRedisUrl(url);
  expect(reading).toThrow(problem);
  expect(reading).toThrow(/^(?!.*hunter2)ROTOR_QUEUE_URL: /);
});
