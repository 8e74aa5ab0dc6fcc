// argmax `topk_8` of bipolar
module bipolar_topk_8 (
  input  wire clk,
  input  wire [66:0] from_argmax_7,
  output wire [2:0] result);

  wire [4:0] argmax_7_n0_r1 = from_argmax_7[4:0];
  wire [5:0] argmax_7_n1_r1 = from_argmax_7[15:10];
  wire [5:0] argmax_7_n2_r1 = from_argmax_7[27:22];
  wire [5:0] argmax_7_n3_r1 = from_argmax_7[39:34];
  wire [5:0] argmax_7_n4_r1 = from_argmax_7[51:46];
  wire [2:0] argmax_7_y0 = from_argmax_7[60:58];
  wire [2:0] argmax_7_y0_r1 = from_argmax_7[63:61];
  wire n0 = argmax_7_y0 == 3'd0;
  reg n0_r1;
  wire [5:0] n1 = n0_r1 ? 6'd44 : {argmax_7_n0_r1[4], argmax_7_n0_r1};
  wire n2 = argmax_7_y0 == 3'd1;
  reg n2_r1;
  wire [5:0] n3 = n2_r1 ? 6'd44 : argmax_7_n1_r1;
  wire n4 = argmax_7_y0 == 3'd2;
  reg n4_r1;
  wire [5:0] n5 = n4_r1 ? 6'd44 : argmax_7_n2_r1;
  wire n6 = argmax_7_y0 == 3'd3;
  reg n6_r1;
  wire [5:0] n7 = n6_r1 ? 6'd44 : argmax_7_n3_r1;
  wire n8 = argmax_7_y0_r1 == 3'd4;
  wire [5:0] n9 = n8 ? 6'd44 : argmax_7_n4_r1;
  wire n10 = $signed(n1) >= $signed(n3);
  wire [5:0] n11 = n10 ? n1 : n3;
  wire n12 = ~n10;
  wire n13 = $signed(n5) >= $signed(n7);
  wire [5:0] n14 = n13 ? n5 : n7;
  wire [1:0] n15 = n13 ? 2'd2 : 2'd3;
  wire n16 = $signed(n11) >= $signed(n14);
  wire [5:0] n17 = n16 ? n11 : n14;
  wire [1:0] n18 = n16 ? {1'd0, n12} : n15;
  wire n19 = $signed(n17) >= $signed(n9);
  wire [2:0] y1 = n19 ? {1'd0, n18} : 3'd4;
  reg [2:0] y1_r1;
  assign result = y1_r1;

  always @(posedge clk) begin
    n0_r1 <= n0;
    n2_r1 <= n2;
    n4_r1 <= n4;
    n6_r1 <= n6;
    y1_r1 <= y1;
  end

endmodule
