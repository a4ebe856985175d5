import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsSecretsManagerStore } from '../../stores/aws-secrets-manager/store.ts';
import { awsEnvironment, type Moto, moto, startMoto } from '../setup/moto.ts';
import { aForeignStage, type ForeignStage } from './foreign-stage.ts';
import { type Host, startHost } from './host.ts';
import { Secrets } from './stage.ts';

describe.skipIf(!moto.bin)(
  `a Lambda function that works on AWS Secrets Manager itself${moto.skipped}`,
  () => {
    let server: Moto;
    let host: Host;
    let secrets: Secrets;
    let stage: ForeignStage | undefined;
    beforeAll(async () => {
      server = await startMoto();
      Object.assign(process.env, awsEnvironment(server.url));
      secrets = new Secrets(server.url);
      // Lambda's Invoke API, and a role of its own: it knows Secrets Manager only by its variables.
      host = await startHost([], awsEnvironment(server.url));
    });
    afterAll(async () => {
      await stage?.drop();
      await host?.stop();
      await server?.stop();
    });

    test('the rotation is done, and says plainly that the old credential was neither tried nor revoked', {
      timeout: 60_000,
    }, async () => {
      const store = awsSecretsManagerStore();
      let secretId = '';
      stage = await aForeignStage({
        secrets,
        open: () => store.open(store.spec.parse({ region: 'eu-central-1' })),
        provider: { lambda: { name: 'rotor-postgres', endpoint: host.url, region: 'eu-central-1' } },
      });
      secretId = await secrets.create(stage.initial);
      // As somebody has configured it: with this function, and so with rotation enabled.
      const { database, spec } = stage;
      const path = (await secrets.nameOf(secretId)) ?? '';
      const { rotation, journal, versions } = await stage.rotate({
        rotator: { ...spec.rotator, credential: { mode: 'alternating-users', secretId } },
        store: { ...spec.store, path },
        initialFrom: undefined,
      });
      expect(rotation.state, journal).toBe('done');
      expect(versions).toEqual(['current', 'previous']);
      expect(journal).toContain('"oldRefused":"not tried"');
      expect(journal).toContain('the function has no step that revokes the old credential');
      expect(journal).not.toContain('"oldRefused":true');
      const current = await secrets.document(secretId);
      expect(current.username).toBe(database.clone);
      expect(await database.accepts(current)).toBe(true);
      expect(await stage.held()).toMatchObject({ username: database.clone, password: current.password });
      expect((await secrets.stages(secretId))[rotation.newVersion ?? '']).toContain('AWSCURRENT');
    });
  },
);
