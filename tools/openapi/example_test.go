package openapi_test

import (
	"context"
	"fmt"

	"parley/tools/openapi"
)

func ExampleImport() {
	const document = `
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: https://shop.example/v1}]
paths:
  /orders/{order}:
    get:
      summary: Looks up one order.
      parameters: [{name: order, in: path, required: true, schema: {type: string}}]
`
	r, err := openapi.Import(context.Background(), []byte(document), openapi.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, op := range r.Operations {
		fmt.Println(op.Name, op.Tool.Method, op.Tool.URL, string(op.Tool.Parameters))
	}
	// Output:
	// get_orders_order GET https://shop.example/v1/orders/{order} {"additionalProperties":false,"properties":{"order":{"type":"string"}},"required":["order"],"type":"object"}
}
