import type { JenkinsCredential } from './spec.ts';
import { element, rootOf, textOf } from './xml.ts';

/** What of a credential Jenkins shows again. */
export interface Shown {
  /** Class of the credential: what kind it is. */
  readonly class: string;
  readonly description: string;
  readonly scope: string;
  /** Of kinds that have one. */
  readonly username: string | undefined;
  readonly fileName: string | undefined;
}

const CLASSES = {
  usernamePassword: 'com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl',
  secretText: 'org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl',
  sshKey: 'com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey',
  secretFile: 'org.jenkinsci.plugins.plaincredentials.impl.FileCredentialsImpl',
} as const;

/**
 * The XML of a credential as the user guide of the Credentials plugin has it ("REST API"). Secrets are sent as they are:
 * Jenkins takes what it can't decrypt for plain text, and encrypts it before it is stored.
 * @param fill the text of a template
 */
export function written(
  spec: JenkinsCredential,
  description: string,
  fill: (template: string) => string,
): { readonly xml: string; readonly shown: Shown } {
  const { id, scope, usernamePassword, secretText, sshKey, secretFile } = spec;
  const basics = element('scope', scope) + element('id', id) + element('description', description);
  const made = (kind: keyof typeof CLASSES, fields: string, plain: Partial<Shown> = {}) => ({
    xml: `<${CLASSES[kind]}>${basics}${fields}</${CLASSES[kind]}>`,
    shown: {
      class: CLASSES[kind],
      description,
      scope,
      username: undefined,
      fileName: undefined,
      ...plain,
    },
  });
  if (usernamePassword) {
    const username = fill(usernamePassword.username);
    const fields = element('username', username) + element('password', fill(usernamePassword.password));
    return made('usernamePassword', fields, { username });
  }
  if (sshKey) {
    const username = fill(sshKey.username);
    const passphrase = sshKey.passphrase === undefined ? '' : element('passphrase', fill(sshKey.passphrase));
    const source = `${CLASSES.sshKey}$DirectEntryPrivateKeySource`;
    const key = `<privateKeySource class="${source}">${element('privateKey', fill(sshKey.privateKey))}</privateKeySource>`;
    return made('sshKey', element('username', username) + passphrase + key, { username });
  }
  if (secretFile) {
    const bytes = Buffer.from(fill(secretFile.content), 'utf8').toString('base64');
    const fields = element('fileName', secretFile.name) + element('secretBytes', bytes);
    return made('secretFile', fields, { fileName: secretFile.name });
  }
  return made('secretText', element('secret', fill(secretText?.value ?? '')));
}

/** What `config.xml` of a credential shows; undefined for an answer that is something else. */
export function read(xml: string): Shown | undefined {
  const root = rootOf(xml);
  if (root === undefined) return undefined;
  return {
    class: root,
    description: textOf(xml, 'description') ?? '',
    scope: textOf(xml, 'scope') ?? '',
    username: textOf(xml, 'username'),
    fileName: textOf(xml, 'fileName'),
  };
}
