import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { awsParameterStore } from '../../stores/aws-parameter-store/store.ts';
import {
  a,
  b,
  c,
  current,
  onAws,
  parameterWithAAndB,
  path,
  promise,
  text,
  thrownBy,
} from './stores-aws-home.ts';
import { callWith } from './stores-calls.ts';

onAws('awsParameterStore');

promise('a parameter that others made is adopted as current before anything newer is written', async () => {
  const { aws } = await parameterWithAAndB();
  const name = `/${randomUUID()}/legacy`;
  await aws.putParameter({
    Name: name,
    Value: text('old').reveal(),
    Type: 'SecureString',
    KeyId: 'alias/team',
  });
  const kind = awsParameterStore();
  const store = kind.open(kind.spec.parse({}));
  const found = await store.read(callWith(0n), name, 'current');
  expect(found?.document.equals(text('old'))).toBe(true);
  expect((await store.check?.(callWith(0n), name))?.warnings.join()).toContain(`${name}:rotor-current`);
  await store.stage(callWith(1n), name, b, text('b'));
  expect((await store.read(callWith(0n), name, 'current'))?.versionId).toBe(found?.versionId);
  const labelled = await aws.getParameter({ Name: `${name}:rotor-current`, WithDecryption: true });
  expect(labelled.Parameter?.Value).toBe(text('old').reveal());
  await store.promote(callWith(1n), name, b, found?.versionId);
  expect((await aws.getParameterHistory({ Name: name })).Parameters?.map(({ KeyId }) => KeyId)).toEqual([
    'alias/team',
    'alias/team',
  ]);
});

promise('a parameter that keeps its values in the clear is refused', async () => {
  const { aws } = await parameterWithAAndB();
  const name = `/${randomUUID()}/plain`;
  await aws.putParameter({ Name: name, Value: 'x', Type: 'String' });
  const kind = awsParameterStore();
  const store = kind.open(kind.spec.parse({}));
  expect(await thrownBy(store.stage(callWith(1n), name, b, text('b')))).toMatchObject({
    code: 'store.conflict',
  });
});

promise('a parameter takes more than 100 versions, and a foreign label that stops it is named', async () => {
  const { store, name, aws } = await parameterWithAAndB();
  let last: string = a;
  const rotate = async (name: string) => {
    const next = randomUUID();
    await store.stage(callWith(1n), path, next, text(name));
    await store.promote(callWith(1n), path, next, last);
    last = next;
  };
  for (let n = 0; n < 14; n += 1) await rotate(`early ${n}`);
  // Of somebody else: they count towards the hundred, and push out what Rotor wrote.
  for (let n = 0; n < 84; n += 1)
    await aws.putParameter({ Name: name, Value: `${n}`, Type: 'SecureString', Overwrite: true });
  for (let n = 0; n < 8; n += 1) await rotate(`late ${n}`);
  expect((await store.read(callWith(0n), path, 'current'))?.document.equals(text('late 7'))).toBe(true);
  const history = (await aws.getParameterHistory({ Name: name })).Parameters ?? [];
  await aws.labelParameterVersion({
    Name: name,
    ParameterVersion: history[0]?.Version,
    Labels: ['golden'],
  });
  const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
  expect(error).toMatchObject({ code: 'store.conflict', hint: expect.stringContaining('unlabel') });
});

promise(
  'a worker that died while it promoted keeps others out for a while, and its own rotation goes on',
  async () => {
    const { store, name, aws } = await parameterWithAAndB();
    await aws.putParameter({ Name: `${name}.rotor-promoting`, Value: b, Type: 'String' });
    await store.stage(callWith(1n), path, c, text('c'));
    const error = await thrownBy(store.promote(callWith(1n), path, c, a));
    expect(error).toMatchObject({ code: 'store.conflict', kind: 'retryable' });
    await store.promote(callWith(1n), path, b, a);
    expect(await current(store)).toBe(b);
    await store.promote(callWith(1n), path, c, b);
    expect(await current(store)).toBe(c);
  },
);
