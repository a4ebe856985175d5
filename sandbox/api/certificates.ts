import { generate } from 'selfsigned';

export interface ServerCertificates {
  readonly key: string;
  readonly certificate: string;
  readonly caCertificate: string;
}

/** A certificate authority of its own, and a certificate of it for localhost and 127.0.0.1. */
export async function makeCertificates(): Promise<ServerCertificates> {
  const ca = await generate([{ name: 'commonName', value: 'sandbox-ca' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return { key: server.private, certificate: server.cert, caCertificate: ca.cert };
}
