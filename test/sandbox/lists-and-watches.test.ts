import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, onSandbox, useCluster } from './cluster.ts';

let cluster: Cluster;
let path: string;

const NAMES = ['a', 'b', 'c', 'd', 'e'];

interface Event {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: objects of any kind
  readonly object: any;
}

beforeAll(async () => {
  cluster = await useCluster();
  path = `/api/v1/namespaces/${await cluster.namespace()}/configmaps`;
  for (const name of NAMES) {
    const labels = { odd: String(NAMES.indexOf(name) % 2 === 0), name };
    await cluster.call('POST', path, { body: { metadata: { name, labels } } });
  }
});

const names = async (query: string): Promise<string[]> => {
  const { body } = await cluster.call('GET', `${path}?${query}`);
  return body.items.map((item: { metadata: { name: string } }) => item.metadata.name).filter(isOurs);
};
const isOurs = (name: string) => NAMES.includes(name);

describe('a list', () => {
  it.each([
    ['odd=true', ['a', 'c', 'e']],
    ['odd!=true', ['b', 'd']],
    ['name in (a,b)', ['a', 'b']],
    ['name in (a,b),odd=true', ['a']],
    ['name notin (a,b)', ['c', 'd', 'e']],
    ['odd', NAMES],
    ['!odd', []],
    ['nothing', []],
  ])('selects by labels: %s', async (selector, expected) => {
    expect(await names(`labelSelector=${encodeURIComponent(selector)}`)).toEqual(expected);
  });

  it('selects by name, and refuses fields that can not be selected by', async () => {
    expect(await names('fieldSelector=metadata.name%3Dc')).toEqual(['c']);
    const refused = await cluster.call('GET', `${path}?fieldSelector=data.x%3Dc`);
    expect(refused.status).toBe(400);
    expect(refused.body.message).toContain(
      '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    );
  });

  it('comes in pages that go on where the last one ended', async () => {
    const seen: string[] = [];
    let next = '';
    do {
      const { body } = await cluster.call('GET', `${path}?limit=2&continue=${encodeURIComponent(next)}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map((item: { metadata: { name: string } }) => item.metadata.name));
      next = body.metadata.continue ?? '';
    } while (next !== '');
    expect(seen.filter(isOurs)).toEqual(NAMES);
  });

  it('refuses a version from the future', async () => {
    const { status, body } = await cluster.call('GET', `${path}?resourceVersion=99999999`);
    expect(status).toBe(504);
    expect(body.details.causes[0].reason).toBe('ResourceVersionTooLarge');
  });
});

describe('a watch', () => {
  const watch = async (query: string): Promise<Event[]> => {
    const { body } = await cluster.call('GET', `${path}?watch=1&timeoutSeconds=1&${query}`);
    return [body].flat();
  };

  it('without a version begins with all objects', async () => {
    // A Kubernetes on an etcd older than 3.4.31 learns how far it has got from changes of that kind alone,
    // and refuses with "Too large resource version" while it doesn't know: hence a change right before.
    const fresh = async () => {
      await cluster.call('PATCH', `${path}/a`, {
        body: { data: { seen: randomUUID() } },
        type: 'application/merge-patch+json',
      });
      const events = await watch('');
      const ours = events.filter(({ object }) => isOurs(object.metadata.name));
      return ours.map(({ type, object }) => `${type} ${object.metadata.name}`).sort();
    };
    await expect.poll(fresh, { timeout: 30_000 }).toEqual(NAMES.map((name) => `ADDED ${name}`));
  });

  it('with a selector tells of an object that leaves it as deleted, and of one that enters it as added', async () => {
    const { body: list } = await cluster.call('GET', path);
    const label = (name: string, odd: string) =>
      cluster.call('PATCH', `${path}/${name}`, {
        body: { metadata: { labels: { odd } } },
        type: 'application/merge-patch+json',
      });
    await label('b', 'true');
    await label('b', 'false');
    const events = await watch(`labelSelector=odd%3Dtrue&resourceVersion=${list.metadata.resourceVersion}`);
    expect(events.map(({ type, object }) => [type, object.metadata.name])).toEqual([
      ['ADDED', 'b'],
      ['DELETED', 'b'],
    ]);
  });

  // A real cluster forgets when it likes.
  it.runIf(onSandbox)('from a version that is forgotten ends with an ERROR event of code 410', async () => {
    cluster.sandbox?.forgetHistory();
    const [event] = await watch('resourceVersion=1');
    expect(event).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
    expect(event?.object.message).toMatch(/^too old resource version: 1 \(\d+\)$/);
  });
});
