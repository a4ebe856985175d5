import type { Json, JsonObject } from './json.ts';
import { MESSAGES, type Message } from './protobuf-messages.ts';
import { ApiError } from './status.ts';

/** What every protobuf body of the API begins with. */
const MAGIC = Buffer.from('k8s\0', 'latin1');

const ENVELOPE: Message = { 1: ['type', 'TypeMeta'], 2: ['raw', 'raw'] };
const TYPE_META: Message = { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] };

/** A protobuf body as the object it stands for. @throws ApiError 415 when it has more than is known here */
export function readProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, 4).equals(MAGIC)) throw unreadable('no protobuf of the API');
  let type: JsonObject = {};
  let raw: Buffer = Buffer.alloc(0);
  for (const { number, value } of fieldsOf(body.subarray(4))) {
    if (!Buffer.isBuffer(value)) continue;
    if (ENVELOPE[number]?.[0] === 'type') type = readMessage(value, TYPE_META, 'TypeMeta');
    if (ENVELOPE[number]?.[0] === 'raw') raw = value;
  }
  const message = MESSAGES[String(type.kind)];
  if (!message) throw unreadable(`protobuf of kind ${type.kind}`);
  return { ...type, ...readMessage(raw, message, String(type.kind)) };
}

interface Field {
  readonly number: number;
  readonly value: bigint | Buffer;
}

function* fieldsOf(buffer: Buffer): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = buffer[at];
      if (byte === undefined) throw unreadable('protobuf that ends too early');
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < buffer.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (wire === 0) yield { number, value: BigInt.asIntN(64, varint()) };
    else if (wire === 2) {
      const length = Number(varint());
      yield { number, value: buffer.subarray(at, at + length) };
      at += length;
    } else throw unreadable(`protobuf of wire type ${wire}`);
  }
}

function readMessage(buffer: Buffer, message: Message, name: string): JsonObject {
  const made: JsonObject = {};
  for (const { number, value } of fieldsOf(buffer)) {
    const known = message[number];
    if (!known) {
      // Go writes fields that are empty; only one that says something would be lost.
      if (!isZero(value)) throw unreadable(`protobuf of ${name} with field ${number}`);
      continue;
    }
    const [field, type] = known;
    if (type === 'map' || type === 'bytesmap') {
      const [key, entry] = readEntry(value as Buffer, type === 'bytesmap');
      made[field] = { ...(made[field] as JsonObject | undefined), [key]: entry };
    } else if (type.endsWith('[]')) {
      const list = (made[field] as Json[] | undefined) ?? [];
      made[field] = [...list, readValue(value, type.slice(0, -2))];
    } else {
      const read = readValue(value, type);
      if (read !== '') made[field] = read;
    }
  }
  return made;
}

function readValue(value: bigint | Buffer, type: string): Json {
  if (type === 'int') return Number(value);
  if (type === 'bool') return value === 1n;
  if (!Buffer.isBuffer(value)) throw unreadable(`protobuf with a number for ${type}`);
  return type === 'string' ? value.toString('utf8') : readMessage(value, MESSAGES[type] ?? {}, type);
}

function readEntry(buffer: Buffer, isBytes: boolean): [key: string, value: string] {
  let key = '';
  let entry = '';
  for (const { number, value } of fieldsOf(buffer)) {
    if (!Buffer.isBuffer(value)) continue;
    if (number === 1) key = value.toString('utf8');
    if (number === 2) entry = value.toString(isBytes ? 'base64' : 'utf8');
  }
  return [key, entry];
}

/** Whether a value says nothing: zero, empty, or a message of nothing but such. */
function isZero(value: bigint | Buffer): boolean {
  if (!Buffer.isBuffer(value)) return value === 0n;
  try {
    return [...fieldsOf(value)].every((field) => isZero(field.value));
  } catch {
    return false;
  }
}

function unreadable(what: string): ApiError {
  return new ApiError(415, 'UnsupportedMediaType', `the sandbox doesn't read ${what}: send JSON or YAML`);
}
