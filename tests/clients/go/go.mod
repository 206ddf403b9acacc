// SPDX-License-Identifier: Apache-2.0

module jobgate/tests/clients/go

go 1.21

require github.com/confluentinc/confluent-kafka-go/v2 v2.11.1
