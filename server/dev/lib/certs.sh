# shellcheck shell=bash
# Keys and certificates of one private Kubernetes: three authorities that do not trust each other (clients and
# servers; the API server's front proxy; etcd). Were the front proxy's authority also the clients', every client
# could claim to be anybody by a header. Needs $state.

pki() { echo "$state/pki/$1"; }

cert_key() { openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | write_private "$1"; }

# cert_authority NAME COMMON-NAME
cert_authority() {
    local base
    base=$(pki "$1")
    [[ ! -s $base.crt ]] || return 0
    cert_key "$base.key"
    openssl req -x509 -new -key "$base.key" -days 3650 -subj "/CN=$2" -out "$base.crt.new" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
    mv "$base.crt.new" "$base.crt"
}

# cert_issue AUTHORITY NAME SUBJECT [ALTERNATIVE-NAMES]
cert_issue() {
    local ca base extensions
    ca=$(pki "$1")
    base=$(pki "$2")
    [[ ! -s $base.crt ]] || return 0
    cert_key "$base.key"
    extensions=$'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n'
    [[ -z ${4-} ]] || extensions+="subjectAltName=$4"$'\n'
    openssl req -new -key "$base.key" -subj "$3" |
        openssl x509 -req -CA "$ca.crt" -CAkey "$ca.key" -set_serial "0x$(random_hex 8)" -days 3650 \
            -extfile <(printf '%s' "$extensions") -out "$base.crt.new" 2>/dev/null
    mv "$base.crt.new" "$base.crt"
}

certs_make() {
    local local_names=DNS:localhost,IP:127.0.0.1
    mkdir -p -m 700 "$state/pki"
    cert_authority ca flotilla-dev
    cert_authority front-proxy-ca flotilla-dev-front-proxy
    cert_authority etcd-ca flotilla-dev-etcd
    cert_issue etcd-ca etcd /CN=etcd "$local_names"
    cert_issue etcd-ca etcd-client /CN=kube-apiserver
    cert_issue ca kube-apiserver /CN=kube-apiserver \
        "$local_names,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:10.96.0.1"
    cert_issue front-proxy-ca front-proxy /CN=front-proxy
    cert_issue ca controller-manager /CN=system:kube-controller-manager
    cert_issue ca scheduler /CN=system:kube-scheduler
    cert_issue ca kwok /O=system:masters/CN=kwok
    cert_issue ca admin /O=system:masters/CN=admin
    cert_issue ca operator /CN=flotilla-operate
    cert_issue ca fleet /CN=flotilla-fleet
    if [[ ! -s $(pki service-account.pub) ]]; then
        cert_key "$(pki service-account.key)"
        openssl ec -in "$(pki service-account.key)" -pubout 2>/dev/null | write_private "$(pki service-account.pub)"
    fi
}

# kubeconfig_make NAME: a kubeconfig that carries its keys, so that the one file can be handed around.
kubeconfig_make() {
    local file=$state/$1.kubeconfig
    [[ ! -s $file ]] || return 0
    write_private "$file" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: flotilla
  cluster:
    server: https://127.0.0.1:$(port_of kube-apiserver)
    certificate-authority-data: $(base64 -w0 "$(pki ca.crt)")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$(pki "$1.crt")")
    client-key-data: $(base64 -w0 "$(pki "$1.key")")
contexts:
- name: flotilla
  context:
    cluster: flotilla
    user: $1
current-context: flotilla
YAML
}
