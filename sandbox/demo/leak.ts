import { systemClock } from '../../core/clock.ts';
import type { IncidentView, Timeline } from '../../orchestrator/incidents/describe.ts';
import type { GitHub } from './github.ts';
import type { IncidentFacts } from './incident.ts';
import { intrude, type Login, tryLogin, type Watch, watchLogin } from './logins.ts';
import { OVERLAP } from './manifests.ts';
import { type Actors, pictures, rotationOf } from './story.ts';
import type { Chapter } from './summary.ts';
import { type App, JOBS, MAIL } from './workloads.ts';

const SOURCE = 'github-partner';
/** Between two logins with the leaked credential: those of an overlap are sessions that its end waits for. */
const FAST_MS = 10;
const SLOW_MS = 50;
const LOOK_MS = 50;
/** Once Rotor calls it proven, logins have to say the same within that time. */
const AGREE_MS = 3_000;
const PATIENCE_MS = 180_000;

export interface LeakActors extends Actors {
  readonly github: GitHub;
}

/** Chapter five: a runbook of the policy has the consumers move first. Nobody notices but the finder. */
export async function consumersFirst(actors: LeakActors): Promise<Chapter> {
  actors.screen.say(
    `\n5. A leak, consumers first: GitHub found the password of jobs; its runbook gives the pods ${OVERLAP} at most`,
  );
  return leaked(actors, JOBS, 'overlap', SLOW_MS);
}

/** Chapter six: what is public is refused at once, unless a runbook says otherwise. Its clients pay for it. */
export async function revokeFirst(actors: LeakActors): Promise<Chapter> {
  actors.screen.say(
    '\n6. A leak, revoked first: GitHub found the password of mail, and somebody is logged in with it already',
  );
  return leaked(actors, MAIL, 'revoke-first', FAST_MS);
}

/**
 * Reports the credential that an application uses just now, and looks from outside what becomes of it: by logins with the
 * leaked one and with the one that takes its place.
 */
async function leaked(
  actors: LeakActors,
  app: App,
  expected: IncidentFacts['mode'],
  everyMs: number,
): Promise<Chapter> {
  const { api, fleet, github, screen } = actors;
  const before = fleet.pods(app);
  const old = await fleet.login(app);
  const valid = (await tryLogin(old)) === 'accepted';
  const intruder = expected === 'revoke-first' ? await intrude(old) : undefined;
  const sentAt = Date.now();
  const watch = watchLogin(old, everyMs);
  const { status, label } = await github.report(`${api.url}/v1/hooks/${SOURCE}`, old.password);
  const answeredMs = Date.now() - sentAt;
  if (status !== 202) throw new Error(`the report of GitHub was answered ${status}`);
  screen.say(`   ${mark(answeredMs)} reported      signed by GitHub's key; answered ${status}, ${label}`);

  const show = pictures(actors, app);
  const told = new Set<string>();
  const tell = (what: string, ms: number | undefined, how: string) => {
    if (ms === undefined || told.has(what)) return;
    told.add(what);
    screen.say(`   ${mark(ms)} ${what.padEnd(13)} ${how}`);
  };
  const since = (at: Timeline[keyof Timeline]) =>
    at === undefined ? undefined : new Date(at).getTime() - sentAt;
  let delivered: { readonly login: Login; readonly ms: number } | undefined;
  for (let agreeing = 0; ; agreeing += LOOK_MS) {
    show();
    delivered ??= await replaced(actors, app, old, sentAt);
    const target = (await incidentOf(actors, app))?.targets.find(({ policy }) => policy === policyOf(app));
    const timeline = target?.timeline;
    tell('contained', watch.refusedMs, 'a login with the leaked one is refused');
    tell('reissued', since(timeline?.reissued), 'the database accepts a new one');
    tell('delivered', delivered?.ms, 'the Secret carries it');
    tell('rolled out', since(timeline?.rolledOut), 'every pod is on it');
    if (!timeline?.proven) agreeing = 0;
    const agreed = watch.goneMs !== undefined || agreeing >= AGREE_MS;
    if (agreed) tell('proven', since(timeline?.proven), 'the leaked one refused, the new one accepted');
    if ((timeline?.proven && agreed) || target?.rotation?.state === 'needs-human') break;
    if (Date.now() - sentAt > PATIENCE_MS)
      throw new Error(`the leak of ${app.name} was not answered within ${PATIENCE_MS / 1_000} s`);
    screen.live(`   ${await actors.status()}`);
    await systemClock.sleep(LOOK_MS);
  }
  await fleet.untilSettled(app);
  show();
  return concluded(actors, { app, before, old, valid, watch, intruder, expected });
}

interface Concluding {
  readonly app: App;
  readonly before: Chapter['before'];
  readonly old: Login;
  readonly valid: boolean;
  readonly watch: Watch;
  readonly intruder: Awaited<ReturnType<typeof intrude>> | undefined;
  readonly expected: IncidentFacts['mode'];
}

/** Tries both credentials for the last time, and says how it ended. */
async function concluded(actors: LeakActors, seen: Concluding): Promise<Chapter> {
  const { app, before, old, valid, watch, intruder, expected } = seen;
  await watch.end();
  const fresh = await actors.fleet.login(app);
  const incident = await incidentOf(actors, app);
  const target = incident?.targets.find(({ policy }) => policy === policyOf(app));
  const leak: IncidentFacts = {
    id: incident?.id ?? '',
    rotation: target?.rotationId ?? '',
    app: app.name,
    source: SOURCE,
    expected,
    mode: target?.mode ?? 'overlap',
    valid,
    timeToContainMs: watch.refusedMs,
    timeToRevokeMs: watch.goneMs,
    ...(intruder ? { intruderCutMs: intruder.cutMs } : {}),
    oldRefused: (await tryLogin(old)) !== 'accepted',
    newAccepted: fresh.versionId !== old.versionId && (await tryLogin(fresh)) === 'accepted',
  };
  await intruder?.leave();
  actors.screen.say(`   ${verdict(leak)}`);
  return {
    app,
    before,
    after: actors.fleet.pods(app),
    rotation: await rotationOf(actors, leak.rotation),
    leak,
  };
}

/** The credential that has taken the place of the leaked one in the Secret, once it has. */
async function replaced({ fleet }: Actors, app: App, old: Login, sentAt: number) {
  const login = await fleet.login(app);
  return login.versionId === old.versionId ? undefined : { login, ms: Date.now() - sentAt };
}

async function incidentOf({ api }: Actors, app: App): Promise<IncidentView | undefined> {
  const { incidents } = await api.get<{ incidents: readonly IncidentView[] }>('/v1/incidents');
  const found = incidents.find(({ targets }) => targets.some(({ policy }) => policy === policyOf(app)));
  return found && api.get<IncidentView>(`/v1/incidents/${found.id}`);
}

function policyOf({ secret }: App): string {
  return `default/${secret}`;
}

function mark(ms: number): string {
  return `${(Math.max(0, ms) / 1_000).toFixed(2)} s`.padStart(7);
}

function verdict({ timeToContainMs, intruderCutMs, oldRefused, newAccepted }: IncidentFacts): string {
  const told = [
    timeToContainMs === undefined
      ? 'the leaked one was NEVER REFUSED'
      : `refused ${Math.round(timeToContainMs)} ms after the report`,
  ];
  if (intruderCutMs !== undefined) told.push('the session of the one who was logged in is cut');
  told.push(`now the leaked one is ${oldRefused ? 'refused' : 'STILL ACCEPTED'}`);
  told.push(`the new one ${newAccepted ? 'accepted' : 'REFUSED'}`);
  return `=> ${told.join(', ')}`;
}
