import { type JsonObject, objectsAt, textAt, valueAt } from './json.ts';
import { type Cause, duplicate, invalidValue, required, unsupported } from './status.ts';
import { DNS_LABEL, DNS_LABEL_RULE } from './validate-metadata.ts';

const C_IDENTIFIER_LIKE = /^[^=]+$/;

/** Causes against a pod spec; `path` leads to it, `claimed` are volumes that its pods will have besides. */
export function podSpecCauses(spec: JsonObject, path: string, claimed: readonly string[] = []): Cause[] {
  const causes: Cause[] = [];
  const volumes = new Set<string>(claimed);
  objectsAt(spec, 'volumes').forEach((volume, index) => {
    causes.push(...dnsLabel(`${path}.volumes[${index}].name`, textAt(volume, 'name')));
    volumes.add(textAt(volume, 'name') ?? '');
  });
  const containers = objectsAt(spec, 'containers');
  if (containers.length === 0) causes.push(required(`${path}.containers`));
  const names = new Set<string>();
  containers.forEach((container, index) => {
    causes.push(...containerCauses(container, `${path}.containers[${index}]`, volumes));
    const name = textAt(container, 'name') ?? '';
    if (names.has(name)) causes.push(duplicate(`${path}.containers[${index}].name`, name));
    names.add(name);
  });
  objectsAt(spec, 'initContainers').forEach((container, index) => {
    causes.push(...containerCauses(container, `${path}.initContainers[${index}]`, volumes));
  });
  const policy = textAt(spec, 'restartPolicy') ?? '';
  const policies = ['Always', 'OnFailure', 'Never'];
  if (!policies.includes(policy)) causes.push(unsupported(`${path}.restartPolicy`, policy, policies));
  return causes;
}

function containerCauses(container: JsonObject, path: string, volumes: ReadonlySet<string>): Cause[] {
  const causes = dnsLabel(`${path}.name`, textAt(container, 'name'));
  if (!textAt(container, 'image')) causes.push(required(`${path}.image`));
  objectsAt(container, 'ports').forEach((port, index) => {
    const number = valueAt(port, 'containerPort');
    const field = `${path}.ports[${index}].containerPort`;
    if (number === undefined) causes.push(required(field));
    else if (!(Number(number) > 0 && Number(number) < 65536)) {
      causes.push(invalidValue(field, number, 'must be between 1 and 65535, inclusive'));
    }
  });
  objectsAt(container, 'env').forEach((variable, index) => {
    const name = textAt(variable, 'name') ?? '';
    if (name === '') causes.push(required(`${path}.env[${index}].name`));
    else if (!C_IDENTIFIER_LIKE.test(name)) {
      const why =
        "a valid environment variable name must consist only of printable ASCII characters other than '='";
      causes.push(invalidValue(`${path}.env[${index}].name`, name, why));
    }
  });
  objectsAt(container, 'volumeMounts').forEach((mount, index) => {
    const field = `${path}.volumeMounts[${index}]`;
    const name = textAt(mount, 'name') ?? '';
    if (name === '') causes.push(required(`${field}.name`));
    else if (!volumes.has(name)) {
      causes.push({ reason: 'FieldValueNotFound', message: `Not found: "${name}"`, field: `${field}.name` });
    }
    if (!textAt(mount, 'mountPath')) causes.push(required(`${field}.mountPath`));
  });
  return causes;
}

function dnsLabel(field: string, name: string | undefined): Cause[] {
  if (!name) return [required(field)];
  if (name.length > 63) return [invalidValue(field, name, 'must be no more than 63 characters')];
  return DNS_LABEL.test(name) ? [] : [invalidValue(field, name, DNS_LABEL_RULE)];
}
