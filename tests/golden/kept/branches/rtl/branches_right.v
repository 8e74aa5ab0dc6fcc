// matvec `right` of branches
module branches_right (
  input  wire clk,
  input  wire [34:0] from_trunk_1,
  output wire [35:0] result);

  wire [4:0] trunk_1_y0_r1 = from_trunk_1[4:0];
  wire [4:0] trunk_1_y1_r1 = from_trunk_1[9:5];
  wire [4:0] trunk_1_y2_r1 = from_trunk_1[14:10];
  wire [4:0] trunk_1_y3_r1 = from_trunk_1[19:15];
  wire [4:0] trunk_1_y4_r1 = from_trunk_1[24:20];
  wire [4:0] trunk_1_y5_r1 = from_trunk_1[29:25];
  wire [4:0] trunk_1_y6_r1 = from_trunk_1[34:30];
  wire [5:0] t7 = {1'd0, trunk_1_y3_r1} - {1'd0, trunk_1_y4_r1};
  wire [5:0] t8 = {1'd0, trunk_1_y2_r1} - {1'd0, trunk_1_y4_r1};
  wire [6:0] t9_c = {2'd0, trunk_1_y6_r1} + {t8[5], t8};
  wire [6:0] t9 = {t9_c[6:1], trunk_1_y6_r1[0] ^ t8[0]};
  reg [6:0] t9_r1;
  wire [6:0] t10_c = {t7[5], t7} - {2'd0, trunk_1_y5_r1};
  wire [6:0] t10 = {t10_c[6:1], t7[0] ^ trunk_1_y5_r1[0]};
  reg [6:0] t10_r1;
  wire [6:0] t11_c = {2'd0, trunk_1_y0_r1} - {t7[5], t7};
  wire [6:0] t11 = {t11_c[6:1], trunk_1_y0_r1[0] ^ t7[0]};
  reg [6:0] t11_r1;
  wire [5:0] t12 = {1'd0, trunk_1_y0_r1} + {1'd0, trunk_1_y1_r1};
  wire [6:0] t13_c = {2'd0, trunk_1_y6_r1} + {1'd0, t12};
  wire [6:0] t13 = {t13_c[6:1], trunk_1_y6_r1[0] ^ t12[0]};
  reg [6:0] t13_r1;
  wire [5:0] t14 = {1'd0, trunk_1_y5_r1} - {1'd0, trunk_1_y1_r1};
  wire [7:0] t15_c = {t9[6], t9} + {{2{t14[5]}}, t14};
  wire [7:0] t15 = {t15_c[7:1], t9[0] ^ t14[0]};
  reg [7:0] t15_r1;
  assign result = {t15_r1, t13_r1, t11_r1, t10_r1, t9_r1};

  always @(posedge clk) begin
    t9_r1 <= t9;
    t10_r1 <= t10;
    t11_r1 <= t11;
    t13_r1 <= t13;
    t15_r1 <= t15;
  end

endmodule
