import { generateKeyPairSync } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { SecretValue } from '../../core/secret.ts';
import type { DeliverySession } from '../../workers/deliveries/delivery.ts';
import { httpSinkDelivery } from '../../workers/deliveries/http-sink/delivery.ts';
import { putOff } from '../doubles/github.ts';
import { SinkDouble } from '../doubles/sink.ts';
import { aCall } from '../setup/call.ts';
import { aGithub, aGitlab, aJenkins, aSecretFile } from './ci-scenarios.ts';

const credential = (versionId: string, password = `password-of-${versionId}`): Credential => ({
  versionId,
  identity: 'app',
  fields: { username: 'app' },
  secrets: { password: SecretValue.of(password) },
});
const [v1, v2] = [credential('v1'), credential('v2')];
const TWO = [
  { name: 'DB_USER', value: '{{username}}-{{versionId}}', masked: false },
  { name: 'DB_PASSWORD', value: '{{password}}' },
];
const PLAIN = TWO.map(({ name, value }) => ({ name, value }));

test('gitlab: what a cut left half done is finished by a repeat, and no more', async () => {
  const { gitlab, open } = await aGitlab({ variables: TWO });
  const session = open();
  await session.deliver(aCall(), v1);
  gitlab.disturb = async (when, { method, path }) =>
    when === 'before' && method === 'PUT' && path.endsWith('DB_PASSWORD') ? 'cut' : undefined;
  await expect(session.deliver(aCall(), v2)).rejects.toMatchObject({ kind: 'ambiguous' });
  expect(gitlab.variables.map(({ value }) => value)).toEqual(['app-v2', 'password-of-v1']);
  gitlab.disturb = async () => undefined;
  gitlab.asked.length = 0;
  await session.deliver(aCall(), v2);
  expect(gitlab.asked.filter((each) => each.startsWith('PUT'))).toEqual([
    'PUT /api/v4/projects/shop%2Forders/variables/DB_PASSWORD',
  ]);
  expect(await session.holds(aCall(), v2)).toBe(true);
  expect(session.warnings).toHaveLength(1);
});

test('gitlab: a value that it would not mask is refused in words by plan and by deliver, before anything is written', async () => {
  const { gitlab, open } = await aGitlab({ variables: TWO });
  const short = credential('v1', 'tiny');
  for (const refused of [open().plan(aCall(), short), open().deliver(aCall(), short)])
    await expect(refused).rejects.toMatchObject({
      code: 'delivery.invalid',
      message: expect.stringMatching(/the value of DB_PASSWORD is shorter than 8 characters/),
    });
  expect(gitlab.variables).toEqual([]);
});

test("gitlab: somebody else's variable is taken over with `adopt` only, and other scopes stay theirs", async () => {
  const { gitlab, open } = await aGitlab({ environmentScope: 'production' });
  await open({ environmentScope: 'staging' }).deliver(aCall(), v1);
  await open().deliver(aCall(), v1);
  Object.assign(gitlab.find('ORDERS_DB', 'production') ?? {}, { description: null });
  await expect(open().plan(aCall())).rejects.toMatchObject({ code: 'delivery.not-owned' });
  await expect(open().deliver(aCall(), v2)).rejects.toMatchObject({ code: 'delivery.not-owned' });
  await open({ adopt: true }).deliver(aCall(), v2);
  expect(gitlab.find('ORDERS_DB', 'production')?.value).toContain('password-of-v2');
  expect(gitlab.find('ORDERS_DB', 'staging')?.value).toContain('password-of-v1');
});

test('gitlab: a role that is too low is named, a bad token too, and a limit is waited for', async () => {
  const { gitlab, open } = await aGitlab();
  gitlab.allowed = false;
  await expect(open().plan(aCall())).rejects.toMatchObject({
    code: 'delivery.permission-denied',
    kind: 'terminal',
    message: expect.stringContaining('scope "api" and the role Maintainer'),
  });
  gitlab.instead.push({ status: 401 }, { status: 429, headers: { 'retry-after': '30' } });
  await expect(open().plan(aCall())).rejects.toMatchObject({ code: 'delivery.refused' });
  await expect(open().plan(aCall())).rejects.toMatchObject({
    code: 'delivery.throttled',
    retryAfterMs: 30_000,
  });
});

test('github: what a cut left half done is finished by a repeat, and no more', async () => {
  const { github, open } = await aGithub({ secrets: PLAIN });
  const session = open();
  await session.deliver(aCall(), v1);
  github.now += 60;
  github.disturb = async (when, { method, path }) =>
    when === 'after' && method === 'PUT' && path.endsWith('DB_PASSWORD') ? 'cut' : undefined;
  await expect(session.deliver(aCall(), v2)).rejects.toMatchObject({ kind: 'ambiguous' });
  github.disturb = async () => undefined;
  expect(await session.holds(aCall(), v2)).toBe(false);
  expect(await session.holds(aCall(), v1)).toBe(false);
  github.changeKey();
  github.asked.length = 0;
  await session.deliver(aCall(), v2);
  expect(github.asked.filter((each) => each.startsWith('PUT'))).toEqual([
    'PUT /repos/acme/shop/actions/secrets/DB_PASSWORD',
  ]);
  expect(await session.holds(aCall(), v2)).toBe(true);
});

test('github: a crash in the same second as the delivery before is not taken for it', async () => {
  const { github, open } = await aGithub();
  const session = open();
  await session.deliver(aCall(), v1);
  github.disturb = async (when, { method }) => (when === 'after' && method === 'PUT' ? 'cut' : undefined);
  await expect(session.deliver(aCall(), v2)).rejects.toMatchObject({ kind: 'ambiguous' });
  github.disturb = async () => undefined;
  expect([...github.secrets.values()][0]?.value).toContain('password-of-v2');
  expect(await session.holds(aCall(), v1)).toBe(false);
});

test("github: somebody else's secret is taken over with `adopt` only; what is kept beside ours holds no secret", async () => {
  const { github, open } = await aGithub();
  github.edit('/repos/acme/shop/actions/secrets/ORDERS_DB', 'theirs');
  await expect(open().plan(aCall())).rejects.toMatchObject({ code: 'delivery.not-owned' });
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({ code: 'delivery.not-owned' });
  await open({ adopt: true }).deliver(aCall(), v1);
  await open().deliver(aCall(), v2);
  const [record] = github.variables.values();
  expect(JSON.parse(record ?? '')).toMatchObject({ version: 'v2', updatedAt: expect.any(String) });
  expect(record).not.toContain('password');
  github.edit('/repos/acme/shop/actions/secrets/ORDERS_DB', 'by hand');
  expect(await open().differences?.(aCall(), v2)).toEqual([
    expect.objectContaining({
      what: expect.stringMatching(/secret ORDERS_DB was changed at .*after Rotor wrote it/),
    }),
  ]);
});

test('github: a missing permission is named, an archived repository and a limit are told', async () => {
  const { github, open } = await aGithub();
  github.permissions.secrets = 'read';
  await open().plan(aCall());
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({
    code: 'delivery.permission-denied',
    message: expect.stringContaining('"Secrets: write"'),
  });
  github.permissions.actions_variables = '';
  await expect(open().plan(aCall())).rejects.toMatchObject({
    message: expect.stringContaining('"Variables: write"'),
  });
  github.repositories.set('acme/shop', { id: 1, archived: true });
  for (const refused of [open().plan(aCall()), open({ adopt: true }).plan(aCall())])
    await expect(refused).rejects.toMatchObject({
      code: 'delivery.permission-denied',
      message: expect.stringContaining('archived'),
    });
  for (const said of [putOff.secondary(7), putOff.primary(new Date(Date.now() + 60_000))]) {
    github.instead.push(said);
    await expect(open().plan(aCall())).rejects.toMatchObject({
      code: 'delivery.throttled',
      kind: 'retryable',
    });
  }
  for (const [status, kind] of [
    [409, 'ambiguous'],
    [422, 'terminal'],
    [500, 'ambiguous'],
  ] as const) {
    github.instead.push({ status });
    await expect(open().plan(aCall())).rejects.toMatchObject({ kind });
  }
});

test('github: an app makes one token for many calls, another when it was taken back, and is refused where it lacks a permission', async () => {
  const { github, open } = await aGithub();
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  github.app = { id: '12345', key: privateKey };
  const file = await aSecretFile(privateKey.export({ type: 'pkcs1', format: 'pem' }) as string);
  const app = { appId: 12345, installationId: 7, privateKeyFrom: { file } };
  const byApp = () => open({ tokenFrom: undefined, app });
  await byApp().plan(aCall());
  await byApp().deliver(aCall(), v1);
  expect(github.installed.size).toBe(1);
  github.installed.clear();
  github.installed.add('somebody-elses');
  expect(await byApp().holds(aCall(), v1)).toBe(true);
  expect(github.installed.size).toBe(2);
  const { github: other, open: elsewhere } = await aGithub();
  other.app = github.app;
  other.permissions.secrets = 'read';
  await expect(elsewhere({ tokenFrom: undefined, app }).plan(aCall())).rejects.toMatchObject({
    code: 'delivery.permission-denied',
    message: expect.stringContaining('lacks the permission "Secrets: write"'),
  });
});

const JENKINS_TWO = [
  { id: 'user', usernamePassword: { username: '{{username}}-{{versionId}}', password: '{{password}}' } },
  { id: 'text', secretText: { value: '{{password}}' } },
];

test('jenkins: what a cut left half done is finished by a repeat, and no more', async () => {
  const { jenkins, open } = await aJenkins({ credentials: JENKINS_TWO });
  const session = open();
  await session.deliver(aCall(), v1);
  jenkins.disturb = async (when, { method, path }) =>
    when === 'after' && method === 'POST' && path.includes('/user/') ? 'cut' : undefined;
  await expect(session.deliver(aCall(), v2)).rejects.toMatchObject({ kind: 'ambiguous' });
  expect(jenkins.text('system/_/user', 'password')).toBe('password-of-v2');
  expect(jenkins.text('system/_/text', 'secret')).toBe('password-of-v1');
  jenkins.disturb = async () => undefined;
  jenkins.asked.length = 0;
  await session.deliver(aCall(), v2);
  expect(jenkins.asked.filter((each) => each.startsWith('POST'))).toEqual([
    'POST /credentials/store/system/domain/_/credential/text/config.xml',
  ]);
  expect(await session.holds(aCall(), v2)).toBe(true);
  expect(session.warnings).toHaveLength(2);
});

test('jenkins: markup in a value stays a value; a control character is refused, but in a file', async () => {
  const nasty = credential('v1', `</password><scope>SYSTEM</scope>&amp;"'\r\n]]>`);
  const { jenkins, open } = await aJenkins();
  await open().deliver(aCall(), nasty);
  expect(jenkins.text('system/_/orders-db', 'password')).toBe(nasty.secrets.password?.reveal());
  expect(jenkins.text('system/_/orders-db', 'scope')).toBe('GLOBAL');
  const control = credential('v2', 'bell\u0007');
  for (const refused of [open().plan(aCall(), control), open().deliver(aCall(), control)])
    await expect(refused).rejects.toMatchObject({
      code: 'delivery.invalid',
      message: expect.not.stringContaining('bell'),
    });
  const file = { id: 'f', secretFile: { name: 'db.env', content: '{{password}}' } };
  await open({ credentials: [file] }).deliver(aCall(), control);
  expect(jenkins.text('system/_/f', 'secretBytes')).toBe('bell\u0007');
});

test("jenkins: somebody else's credential is taken over with `adopt` only, of another kind too", async () => {
  const { jenkins, open } = await aJenkins();
  const theirs = '<x.Y><id>orders-db</id><description>by hand</description></x.Y>';
  jenkins.credentials.set('system/_/orders-db', { xml: theirs });
  await expect(open().plan(aCall())).rejects.toMatchObject({ code: 'delivery.not-owned' });
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({ code: 'delivery.not-owned' });
  expect(await open().differences?.(aCall(), v1)).toEqual(
    expect.arrayContaining([expect.objectContaining({ what: 'orders-db is of another kind' })]),
  );
  await open({ adopt: true }).deliver(aCall(), v1);
  expect(await open().holds(aCall(), v1)).toBe(true);
});

test('jenkins: one that somebody made in the same moment is not overwritten', async () => {
  const { jenkins, open } = await aJenkins();
  jenkins.disturb = async (when, { path }) => {
    const theirs = { xml: '<x.Y><id>orders-db</id><description>by hand</description></x.Y>' };
    if (when === 'before' && path.endsWith('createCredentials'))
      jenkins.credentials.set('system/_/orders-db', theirs);
    return undefined;
  };
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({ kind: 'ambiguous' });
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({ code: 'delivery.not-owned' });
});

test.each([
  ['View', (session) => session.plan(aCall())],
  ['Create', (session) => session.deliver(aCall(), v1)],
  ['Update', (session) => session.deliver(aCall(), v2)],
] as [string, (session: DeliverySession) => Promise<void>][])(
  'jenkins: a missing permission %s is named',
  async (permission, act) => {
    const { jenkins, open } = await aJenkins();
    if (permission === 'Update') await open().deliver(aCall(), v1);
    jenkins.allowed.delete(permission);
    await expect(act(open())).rejects.toMatchObject({
      code: 'delivery.permission-denied',
      kind: 'terminal',
      message: expect.stringContaining(`Credentials/${permission} for rotor`),
    });
  },
);

test('jenkins: a bad token, a password instead of one, a folder that is gone, and trouble inside are told apart', async () => {
  const { jenkins, open } = await aJenkins();
  await expect(open({ user: 'nobody' }).plan(aCall())).rejects.toMatchObject({ code: 'delivery.refused' });
  await expect(open({ folder: 'shop/gone' }).plan(aCall())).rejects.toMatchObject({
    code: 'delivery.not-found',
  });
  jenkins.byPassword = true;
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({
    code: 'delivery.refused',
    hint: expect.stringContaining('API token'),
  });
  for (const [status, kind] of [
    [302, 'terminal'],
    [500, 'ambiguous'],
    [503, 'ambiguous'],
  ] as const) {
    jenkins.instead.push({ status });
    await expect(open().plan(aCall())).rejects.toMatchObject({ kind });
  }
});

test('http sink: signed as Standard Webhooks, without a secret in plain sight, and a late worker is turned away', async () => {
  const sink = await new SinkDouble().listen();
  onTestFinished(() => sink.stop());
  const key = Buffer.from('a key of some length').toString('base64');
  const signingSecretFrom = { file: await aSecretFile(`whsec_${key}`) };
  const verify = { url: `${sink.url}/version`, pointer: '/database/version' };
  const spec = { url: `${sink.url}/take`, signingSecretFrom, verify };
  const session = httpSinkDelivery.open(httpSinkDelivery.spec.parse(spec));
  const early = aCall();
  const late = aCall();
  await session.deliver(late, v1);
  const [taken] = sink.taken;
  const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = taken?.headers ?? {};
  const expected = SecretValue.of(`${id}.${at}.${taken?.body}`)
    .fingerprint(SecretValue.of(Buffer.from(key, 'base64')))
    .toString('base64');
  expect(id).toBe(`v1.${late.fence}`);
  expect(signature).toBe(`v1,${expected}`);
  await expect(session.deliver(early, v2)).rejects.toMatchObject({ code: 'store.fenced' });
  expect(await session.holds(aCall(), v1)).toBe(true);
});

test.each([
  [{}, 'acknowledgeUnseen'],
  [{ verify: { url: 'http://127.0.0.1:2/v', pointer: '/v' } }, 'at the host of `url`'],
  [{ acknowledgeUnseen: true, headers: { Authorization: 'x' } }, 'headersFrom'],
  [{ acknowledgeUnseen: true, headers: { 'rotor-fence': '1' } }, 'set by Rotor itself'],
])('http sink: %j is refused in words', (more, why) => {
  const parsed = httpSinkDelivery.spec.safeParse({ url: 'http://127.0.0.1:1/take', ...more });
  expect(JSON.stringify(parsed.error?.issues)).toContain(why);
});
