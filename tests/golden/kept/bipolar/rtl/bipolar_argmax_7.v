// argmax `argmax_7` of bipolar
module bipolar_argmax_7 (
  input  wire clk,
  input  wire [23:0] from_matmul_6,
  output wire [66:0] result);

  wire [3:0] matmul_6_t21_r1 = from_matmul_6[3:0];
  wire [4:0] matmul_6_t25_r1 = from_matmul_6[8:4];
  wire [4:0] matmul_6_t29_r1 = from_matmul_6[13:9];
  wire [4:0] matmul_6_t35_r1 = from_matmul_6[18:14];
  wire [4:0] matmul_6_t38_r1 = from_matmul_6[23:19];
  wire [4:0] n0 = {matmul_6_t21_r1, 1'd1};
  reg [4:0] n0_r1;
  reg [4:0] n0_r2;
  wire [5:0] n1 = {matmul_6_t25_r1, 1'd1};
  reg [5:0] n1_r1;
  reg [5:0] n1_r2;
  wire [5:0] n2 = {matmul_6_t29_r1, 1'd0};
  reg [5:0] n2_r1;
  reg [5:0] n2_r2;
  wire [5:0] n3 = {matmul_6_t35_r1, 1'd1};
  reg [5:0] n3_r1;
  reg [5:0] n3_r2;
  wire [5:0] n4 = {matmul_6_t38_r1, 1'd0};
  reg [5:0] n4_r1;
  reg [5:0] n4_r2;
  wire n5 = $signed({n0[4], n0}) >= $signed(n1);
  wire [5:0] n6 = n5 ? {n0[4], n0} : n1;
  wire n7 = ~n5;
  wire n8 = $signed(n2) >= $signed(n3);
  wire [5:0] n9 = n8 ? n2 : n3;
  wire [1:0] n10 = n8 ? 2'd2 : 2'd3;
  wire n11 = $signed(n6) >= $signed(n9);
  wire [5:0] n12 = n11 ? n6 : n9;
  wire [1:0] n13 = n11 ? {1'd0, n7} : n10;
  wire n14 = $signed(n12) >= $signed(n4);
  wire [2:0] y0 = n14 ? {1'd0, n13} : 3'd4;
  reg [2:0] y0_r1;
  reg [2:0] y0_r2;
  assign result = {y0_r2, y0_r1, y0, n4_r2, n4_r1, n3_r2, n3_r1, n2_r2, n2_r1, n1_r2, n1_r1, n0_r2, n0_r1};

  always @(posedge clk) begin
    n0_r1 <= n0;
    n0_r2 <= n0_r1;
    n1_r1 <= n1;
    n1_r2 <= n1_r1;
    n2_r1 <= n2;
    n2_r2 <= n2_r1;
    n3_r1 <= n3;
    n3_r2 <= n3_r1;
    n4_r1 <= n4;
    n4_r2 <= n4_r1;
    y0_r1 <= y0;
    y0_r2 <= y0_r1;
  end

endmodule
