#!/usr/bin/env bash
# A real identity provider of SAML 2.0 on loopback: Debian's simplesamlphp, as install.sh unpacked it, under PHP's own web server. Three
# people have passwords there: clerk, elm and stranger.
#
#   simplesamlphp.sh CACHE DIR HOST PORT SP        SP: the console's address; runs until it is killed
#   env: GROUPS_OF_ELM, for what the attribute `groups` says of elm
set -euo pipefail
root=$1/simplesamlphp; dir=$2; host=$3; port=$4; sp=$5
base=http://$host:$port/simplesamlphp
mkdir -p "$dir"/{config/metadata,cert,log,data,tmp,sess,www}
ln -sfn "$root/usr/share/simplesamlphp/www" "$dir/www/simplesamlphp"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=identity-provider -keyout "$dir/cert/idp.key" -out "$dir/cert/idp.crt" 2>/dev/null
# Their secrets are made when the package is installed; here they are beside.
sed -e "s#/var/lib/simplesamlphp/secrets.inc.php#$dir/config/secrets.inc.php#; s#/etc/simplesamlphp#$dir/config#" \
  "$root/etc/simplesamlphp/config.php" >"$dir/config/config.php"
echo '<?php' >"$dir/config/secrets.inc.php"
cat >>"$dir/config/config.php" <<EOF

\$config = array_merge(\$config, [
 'baseurlpath' => '$base/', 'certdir' => '$dir/cert/', 'loggingdir' => '$dir/log/', 'datadir' => '$dir/data/', 'tempdir' => '$dir/tmp',
 'metadatadir' => '$dir/config/metadata/', 'metadata.sources' => [['type' => 'flatfile', 'directory' => '$dir/config/metadata/']],
 'secretsalt' => 'of-a-test', 'auth.adminpassword' => 'of-a-test', 'logging.handler' => 'file', 'logging.level' => 7,
 'technicalcontact_email' => 'it@wragby.test', 'session.phpsession.savepath' => '$dir/sess', 'session.cookie.secure' => false,
 'session.cookie.samesite' => null, 'enable.saml20-idp' => true, 'production' => false,
 'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
]);
EOF
cat >"$dir/config/authsources.php" <<EOF
<?php
\$config = ['admin' => ['core:AdminPassword'], 'people' => ['exampleauth:UserPass',
 'clerk:Secret-1' => ['uid' => ['clerk'], 'mail' => ['clerk@wragby.test'], 'groups' => ['Everybody', 'Clerks']],
 'elm:Secret-2' => ['uid' => ['elm'], 'mail' => ['cllr.elm@wragby.test'], 'groups' => ['${GROUPS_OF_ELM:-Everybody}']],
 'stranger:Secret-3' => ['uid' => ['stranger'], 'mail' => ['stranger@elsewhere.test'], 'groups' => ['Everybody', 'Clerks']],
]];
EOF
format=urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress
cat >"$dir/config/metadata/saml20-idp-hosted.php" <<EOF
<?php
\$metadata['http://$host:$port/idp'] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.crt', 'auth' => 'people',
 'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'NameIDFormat' => '$format', 'sign.logout' => true,
 'redirect.sign' => true, 'authproc' => [3 => ['class' => 'saml:AttributeNameID', 'attribute' => 'mail', 'Format' => '$format']]];
EOF
cat >"$dir/config/metadata/saml20-sp-remote.php" <<EOF
<?php
\$metadata['$sp/saml/metadata'] = ['AssertionConsumerService' => '$sp/saml/acs', 'SingleLogoutService' => '$sp/saml/logout',
 'saml20.sign.response' => true, 'saml20.sign.assertion' => true, 'sign.logout' => true, 'NameIDFormat' => '$format'];
EOF
export SIMPLESAMLPHP_CONFIG_DIR=$dir/config
exec php -d error_reporting=0 -d display_errors=0 -d session.save_path="$dir/sess" -S "$host:$port" -t "$dir/www" >"$dir/php.log" 2>&1 </dev/null
