import { RotorError } from '../../core/errors.ts';
import { jsonIn } from '../../core/json.ts';

const VERSION = '1.0';
const STRUCTURED = /^application\/cloudevents\+json\b/i;

/**
 * The event in a CloudEvent (CloudEvents 1.0, HTTP protocol binding): binary, with attributes in `ce-` headers and the data
 * as the body, or structured, all of it in one JSON object.
 * @returns JSON text
 * @throws RotorError `function.invalid-event`
 */
export function eventOfCloudEvent(header: (name: string) => string | undefined, body: string): string {
  if (STRUCTURED.test(header('content-type') ?? '')) return structured(body);
  for (const name of ['specversion', 'id', 'source', 'type']) {
    if (!header(`ce-${name}`)) throw invalid(`it has no header ce-${name}`);
  }
  assertVersion(header('ce-specversion'));
  assertJson(body);
  return body;
}

function structured(body: string): string {
  const event: unknown = assertJson(body);
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    throw invalid('it is no JSON object');
  const attributes = event as Record<string, unknown>;
  for (const name of ['specversion', 'id', 'source', 'type']) {
    if (typeof attributes[name] !== 'string') throw invalid(`it has no "${name}"`);
  }
  assertVersion(attributes.specversion);
  if (typeof attributes.data_base64 === 'string') {
    const text = Buffer.from(attributes.data_base64, 'base64').toString('utf8');
    assertJson(text);
    return text;
  }
  // Some senders put JSON into a string.
  if (typeof attributes.data === 'string') {
    assertJson(attributes.data);
    return attributes.data;
  }
  return JSON.stringify(attributes.data ?? {});
}

function assertVersion(version: unknown): void {
  if (version !== VERSION) throw invalid(`its specversion is not ${VERSION}`);
}

function assertJson(text: string): unknown {
  const data = jsonIn(text);
  if (data === undefined) throw invalid('its data is not JSON');
  return data;
}

function invalid(why: string): RotorError {
  return new RotorError('function.invalid-event', { what: `this is no CloudEvent for a function: ${why}` });
}
