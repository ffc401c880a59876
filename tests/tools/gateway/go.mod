// Carries the definition of the kind HTTPRoute for the tests: nothing of it is built.
module flotilla.dev/tests/tools/gateway

go 1.26.0

require sigs.k8s.io/gateway-api v1.5.1 // indirect
