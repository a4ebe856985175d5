import type { SSM } from '@aws-sdk/client-ssm';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type Asked, exceptionName } from '../aws/errors.ts';
import { ask, change } from '../aws/send.ts';

/** A turn that is older than any lease belongs to a worker that is dead, in milliseconds. */
const STALE_MS = 120_000;

/**
 * Lets one worker promote at a time. A label moves in one step, but AWS takes no condition with it; what it does only
 * once is to make a parameter that isn't there. So whoever makes `<name>.rotor-promoting` has the turn until it is
 * deleted. It holds a version id, no secret. A worker that died is followed by the next one for the same version.
 * @throws RotorError `store.conflict`, retryable, when another version has the turn
 */
export async function inTurn(
  call: Call,
  client: SSM,
  name: string,
  versionId: string,
  work: () => Promise<void>,
): Promise<void> {
  const turn = turnOf(name);
  await take(call, client, name, turn, versionId);
  try {
    await work();
  } finally {
    await release(call, client, turn);
  }
}

/** Gives a turn back that a worker, which died when all was done, has kept. */
export async function endTurn(call: Call, client: SSM, name: string, versionId: string): Promise<void> {
  const turn = turnOf(name);
  if ((await holderOf(call, client, turn))?.versionId === versionId) await release(call, client, turn);
}

function turnOf(name: string): string {
  return `${name}.rotor-promoting`;
}

async function take(call: Call, client: SSM, name: string, turn: string, versionId: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const request = { Name: turn, Value: versionId, Type: 'String' as const, Overwrite: false };
    let taken = false;
    const holder = () => holderOf(call, client, turn);
    await change(
      call,
      asked('PutParameter', turn),
      async (options) => {
        try {
          await client.putParameter(request, options);
        } catch (error) {
          if (exceptionName(error) !== 'ParameterAlreadyExists') throw error;
          taken = true;
        }
      },
      async () => (await holder())?.versionId === versionId,
    );
    if (!taken) return;
    const other = await holder();
    if (other?.versionId === versionId) return;
    if (other && call.clock.now().getTime() - other.since.getTime() > STALE_MS)
      await release(call, client, turn);
    else if (other || tries > 3) {
      throw new RotorError('store.conflict', {
        what: `parameter ${name}: version ${other?.versionId ?? 'unknown'} is being promoted by another worker`,
        hint: `Nothing to do: Rotor tries again. If it stays so, delete the parameter ${turn}.`,
        kind: 'retryable',
      });
    }
  }
}

async function holderOf(
  call: Call,
  client: SSM,
  turn: string,
): Promise<{ readonly versionId: string; readonly since: Date } | undefined> {
  const found = await ask(call, asked('GetParameter', turn), async (options) => {
    try {
      return await client.getParameter({ Name: turn }, options);
    } catch (error) {
      if (exceptionName(error) === 'ParameterNotFound') return undefined;
      throw error;
    }
  });
  const { Value: versionId, LastModifiedDate: since } = found?.Parameter ?? {};
  return versionId && since ? { versionId, since } : undefined;
}

/** The work is done, or failed by itself: that the turn stays for a while must hide neither. */
async function release(call: Call, client: SSM, turn: string): Promise<void> {
  try {
    await call.deadline.run(`delete ${turn}`, (abortSignal) =>
      client.deleteParameter({ Name: turn }, { abortSignal }),
    );
  } catch (error) {
    if (exceptionName(error) === 'ParameterNotFound') return;
    call.log.warn(
      { err: error, parameter: turn },
      'the turn to promote is not given back; it ends by itself',
    );
  }
}

function asked(operation: string, turn: string): Asked {
  return { action: `ssm:${operation}`, object: `parameter ${turn}` };
}
