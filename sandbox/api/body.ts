import type { IncomingMessage } from 'node:http';
import { parse } from 'yaml';
import { isObject, type Json, type JsonObject } from './json.ts';
import { readProtobuf } from './protobuf.ts';
import { ApiError, badRequest } from './status.ts';

/** The real server's limit of a request. */
const MAX_BYTES = 3 * 1024 * 1024;

/** The content type without its parameters; empty where none was sent. */
export function mediaType(message: IncomingMessage): string {
  return (message.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
}

/** Reads the body as JSON or YAML; undefined when there is none. @throws ApiError 400, 413, 415 */
export async function readBody(message: IncomingMessage): Promise<Json | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += chunk.length;
    if (size > MAX_BYTES) {
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BYTES}`);
    }
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const type = mediaType(message);
  if (type.includes('protobuf')) return bytes.length === 0 ? undefined : readProtobuf(bytes);
  const text = bytes.toString('utf8');
  if (text.trim() === '') return undefined;
  try {
    return type.includes('yaml') && !text.startsWith('{') ? parse(text) : JSON.parse(text);
  } catch (error) {
    throw badRequest(`error decoding the body: ${error instanceof Error ? error.message : 'not an object'}`);
  }
}

/** The body as an object. @throws ApiError 400 */
export function objectBody(body: Json | undefined): JsonObject {
  if (isObject(body)) return body;
  throw badRequest('the body of the request has to be an object');
}
