"""A consumer that Rotor knows nothing of: reads the secret with boto3 and logs in with it, again and again.

Arguments: `secret <name>` or `parameter <name>`. Prints one line for each login: `ok <user>` or `refused <reason>`.
Its server is the one of AWS_ENDPOINT_URL. Ends when its standard input does.
"""

import json
import select
import sys

import boto3
import psycopg

kind, name = sys.argv[1:3]
aws = boto3.client("secretsmanager" if kind == "secret" else "ssm")


def current():
    if kind == "secret":
        return aws.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"]
    return aws.get_parameter(Name=f"{name}:rotor-current", WithDecryption=True)["Parameter"]["Value"]


while not select.select([sys.stdin], [], [], 0.02)[0]:
    document = json.loads(current())
    try:
        with psycopg.connect(
            host=document["host"],
            port=document["port"],
            dbname=document["dbname"],
            user=document["username"],
            password=document["password"],
        ) as connection:
            connection.execute("SELECT 1")
        print("ok", document["username"], flush=True)
    except psycopg.OperationalError as error:
        print("refused", document["username"], str(error).splitlines()[0], flush=True)
