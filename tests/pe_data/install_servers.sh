#!/bin/sh
# Install the servers that the storage tests run against, with pinned versions.
#
#   tests/pe_data/install_servers.sh FOLDER
#
# nginx comes from the Debian package (needs root); Azurite and s3rver come from npm into FOLDER.
# Point the tests at the folder with PE_DATA_TEST_SERVERS=FOLDER. moto is in the `dev` extra.
set -eu

AZURITE=3.35.0
S3RVER=3.7.1

folder=${1:?usage: install_servers.sh FOLDER}
mkdir -p "$folder"

if ! command -v nginx >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends nginx-light
fi
npm install --prefix "$folder" --no-audit --no-fund --loglevel=error \
    "azurite@$AZURITE" "s3rver@$S3RVER"
nginx -v
"$folder/node_modules/.bin/azurite-blob" --version
