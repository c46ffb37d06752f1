set -e
install -d -o mysql /data /data/db /run/mysqld
echo "CREATE OR REPLACE USER splitbrain@'%' IDENTIFIED BY 'secret';" > /tmp/init.sql
[ -e /data/db/mysql ] || mariadb-install-db --user=mysql --datadir=/data/db > /dev/null
[ "$NAME" = n1 ] || set -- "$@" --read-only
exec mariadbd --no-defaults --user=mysql --datadir=/data/db --bind-address=0.0.0.0 \
    --skip-name-resolve --init-file=/tmp/init.sql "$@"
