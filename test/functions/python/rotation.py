"""A rotation function as people write them for AWS Lambda, with boto3 and nothing else: it knows nothing of Rotor."""
import json
import os

import boto3
from postgres_wire import Connection, Refused


def lambda_handler(event, context):
    arn, token, step = event['SecretId'], event['ClientRequestToken'], event['Step']
    client = boto3.client('secretsmanager', endpoint_url=os.environ.get('SECRETS_MANAGER_ENDPOINT'))
    metadata = client.describe_secret(SecretId=arn)
    if not metadata.get('RotationEnabled'):
        raise ValueError('Secret %s is not enabled for rotation' % arn)
    labels = metadata['VersionIdsToStages'].get(token)
    if labels is None:
        raise ValueError('Secret version %s has no stage for rotation of secret %s.' % (token, arn))
    if 'AWSCURRENT' in labels:
        return
    if 'AWSPENDING' not in labels:
        raise ValueError('Secret version %s not set as AWSPENDING for rotation of secret %s.' % (token, arn))
    STEPS[step](client, arn, token)


def create_secret(client, arn, token):
    current = read(client, arn, 'AWSCURRENT')
    try:
        read(client, arn, 'AWSPENDING', token)
    except client.exceptions.ResourceNotFoundException:
        password = client.get_random_password(ExcludeCharacters=':/@"\'\\', PasswordLength=32)
        pending = dict(current, username=next_user(current), password=password['RandomPassword'])
        client.put_secret_value(
            SecretId=arn,
            ClientRequestToken=token,
            SecretString=json.dumps(pending),
            VersionStages=['AWSPENDING'],
        )


def set_secret(client, arn, token):
    pending, current = read(client, arn, 'AWSPENDING', token), read(client, arn, 'AWSCURRENT')
    if works(pending):
        return
    if pending['username'] != next_user(current) or pending['host'] != current['host']:
        raise ValueError('The pending version is of another user or host than the current one')
    if 'masterarn' in current:
        if not works(current):
            raise ValueError('Unable to log into database using current credentials for secret %s' % arn)
        admin = json.loads(client.get_secret_value(SecretId=current['masterarn'])['SecretString'])
        login = dict(current, username=admin['username'], password=admin['password'])
    else:
        known = [current] + previous(client, arn)
        login = next((each for each in known if works(each)), None)
        if login is None:
            raise ValueError('Unable to log into database with previous, current, or pending secret of %s' % arn)
    connection = connect(login)
    connection.query("ALTER ROLE %s PASSWORD '%s'" % (pending['username'], pending['password'].replace("'", "''")))
    connection.close()


def test_secret(client, arn, token):
    pending = read(client, arn, 'AWSPENDING', token)
    if not works(pending):
        raise ValueError('Unable to log into database with pending secret of secret ARN %s' % arn)


def finish_secret(client, arn, token):
    stages = client.describe_secret(SecretId=arn)['VersionIdsToStages']
    current = next((version for version, labels in stages.items() if 'AWSCURRENT' in labels), None)
    client.update_secret_version_stage(
        SecretId=arn, VersionStage='AWSCURRENT', MoveToVersionId=token, RemoveFromVersionId=current
    )


def next_user(current):
    user = current['username']
    if 'masterarn' not in current:
        return user
    return user[: -len('_clone')] if user.endswith('_clone') else user + '_clone'


def read(client, arn, stage, token=None):
    asked = {'SecretId': arn, 'VersionStage': stage}
    if token:
        asked['VersionId'] = token
    return json.loads(client.get_secret_value(**asked)['SecretString'])


def previous(client, arn):
    try:
        return [read(client, arn, 'AWSPREVIOUS')]
    except client.exceptions.ResourceNotFoundException:
        return []


def connect(secret):
    return Connection(secret['host'], secret['port'], secret['username'], secret['password'], secret['dbname'])


def works(secret):
    try:
        connect(secret).close()
        return True
    except Refused:
        return False


STEPS = {
    'createSecret': create_secret,
    'setSecret': set_secret,
    'testSecret': test_secret,
    'finishSecret': finish_secret,
}
