#!/bin/sh
# Read a SIM, and send it a text message: client.sh BASE_URL ICCID TEXT
# The text must not contain quotes or backslashes.
set -eu
url=$1 iccid=$2 text=$3
token='' headers=$(mktemp) body=$(mktemp)
trap 'rm -f "$headers" "$body"' EXIT

# Print the value of a field, without its quotes.
field() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$body"; }

# Make a request; its answer is in $body.
call() {
  method=$1 path=$2
  shift 2
  status=$(curl --silent --max-time 30 --request "$method" --header "Authorization: $token" \
    --dump-header "$headers" --output "$body" --write-out '%{http_code}' "$@" "$url$path") || lost "$method"
  case $status in
    2*) ;;
    429) fail "too many requests, wait $(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]*\).*/\1/p' "$headers") s" ;;
    *) fail "status $status" ;;
  esac
}

lost() {
  if [ "$1" = PUT ]; then fail 'connection lost, the message may have been sent'; fi
  fail 'connection lost'
}

fail() {
  echo "error: $1"
  exit 1
}

call POST /Login --data '{"clientId": "demo-client", "secretKey": "demo-secret"}'
token=$(field token)

call GET "/getStatus/$iccid"
echo "status: $(cat "$body")"
call GET "/ctdUsage/$iccid"
echo "data usage: $(field ctdDataUsage)"
call GET "/sessionInfo/$iccid"
if [ "$(field dateSessionEnded)" = null ]; then echo "in session: $(field ipAddress)"; else echo 'not in session'; fi
call GET "/GetDevice/$iccid"
echo "device: $(field deviceID)"

call PUT "/SendSMS/$iccid/1" --data "{\"messageText\": \"$text\"}"
call GET "/GetSMS/$(field smsMsgId)"
echo "message: $(field messageText) ($(field status))"
