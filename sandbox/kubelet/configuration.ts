import type { ConfigMap, Pod, Secret } from '../controllers/client/wire.ts';

/** Finds what pods of one namespace refer to. */
export interface Lookup {
  secret(name: string): Secret | undefined;
  configMap(name: string): ConfigMap | undefined;
}

/** A Secret, ConfigMap or key that a pod needs isn't there (yet). */
export class MissingConfiguration extends Error {
  override readonly name = 'MissingConfiguration';
}

/** A Secret's content as bytes. */
export function secretContent({ data = {} }: Secret): Map<string, Buffer> {
  return decoded(data, 'base64');
}

/** A ConfigMap's content as bytes. */
export function configMapContent({ data = {}, binaryData = {} }: ConfigMap): Map<string, Buffer> {
  return new Map([...decoded(data, 'utf8'), ...decoded(binaryData, 'base64')]);
}

function decoded(data: Record<string, string>, encoding: BufferEncoding): Map<string, Buffer> {
  return new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, encoding)]));
}

/** The content of a Secret or ConfigMap by name; undefined when there is none. */
export function contentOf(
  lookup: Lookup,
  kind: 'secret' | 'configMap',
  name: string,
): Map<string, Buffer> | undefined {
  if (kind === 'configMap') {
    const found = lookup.configMap(name);
    return found && configMapContent(found);
  }
  const found = lookup.secret(name);
  return found && secretContent(found);
}

export interface PodAddress {
  readonly podIP: string;
  readonly nodeName: string;
}

/** The value of a `fieldRef` of the downward API; undefined when the field isn't one that is offered. */
export function fieldOf(pod: Pod, path: string, { podIP, nodeName }: PodAddress): string | undefined {
  const { metadata, spec } = pod;
  const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (entry) return metadata[entry[1] as 'labels' | 'annotations']?.[entry[2] as string] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace;
    case 'metadata.uid':
      return metadata.uid;
    case 'metadata.labels':
      return asLines(metadata.labels);
    case 'metadata.annotations':
      return asLines(metadata.annotations);
    case 'spec.nodeName':
      return nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.podIP':
    case 'status.podIPs':
    case 'status.hostIP':
    case 'status.hostIPs':
      return podIP;
    default:
      return undefined;
  }
}

function asLines(entries: Record<string, string> = {}): string {
  return Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join('\n');
}
